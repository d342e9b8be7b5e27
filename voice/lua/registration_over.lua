-- The holder gives the registration of a trunk up. Nothing when somebody else has it meanwhile.
-- KEYS 1 holding   ARGV 1 our token
if redis.call('HGET', KEYS[1], 'by') == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
