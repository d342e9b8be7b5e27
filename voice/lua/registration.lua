-- Who holds the one registration of a trunk: ours while nobody else has it, until the server's clock says otherwise.
-- Repeating it changes nothing but the end. Answers '': it is ours. 0: nobody's. Else what its holder says.
-- KEYS 1 holding   ARGV 1 our token  2 what we say of it, JSON  3 lease ms; 0: only look
whole(3)
local by = redis.call('HGET', KEYS[1], 'by')
if by and by ~= ARGV[1] then return redis.call('HGET', KEYS[1], 'says') end
if ARGV[3] == '0' then return 0 end
redis.call('HSET', KEYS[1], 'by', ARGV[1], 'says', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return ''
