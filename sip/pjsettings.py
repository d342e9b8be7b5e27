"""Which settings PJSIP gets, and how they are read back for the self-check.

The objects are the library's and are made by sip/engine.py; here they are only filled in and read.
"""

from typing import Any

from sip import selfcheck, tls
from sip.setup import LineSetup
from sip.trunk import Srtp, Transport

_PRIORITIES = (254, 253, 252)
_SRTP = {Srtp.OFF: 0, Srtp.OPTIONAL: 1, Srtp.REQUIRED: 2}
_KEYS_IN_SDP = 0  # PJMEDIA_SRTP_KEYING_SDES; DTLS would need certificates of ours in every call
_TIMER_ALWAYS = 3  # 2 (required) would hang up on a peer without session timers


def fill_endpoint(config: Any, capacity: int, log_writer: Any) -> None:
    """An EpConfig: one thread, no sound device, 8 kHz, whole SIP messages to the writer."""
    ua, media, log = config.uaConfig, config.medConfig, config.logConfig
    ua.maxCalls, ua.threadCnt, ua.mainThreadOnly = capacity, 0, True
    ua.mwiUnsolicitedEnabled, ua.natTypeInSdp, ua.userAgent = False, 0, "Tocsin"
    media.hasIoqueue, media.threadCnt = False, 0
    media.clockRate, media.noVad, media.ecTailLen, media.sndAutoCloseTime = 8000, True, 0, -1
    # Level 4 is the level of whole SIP messages; the writer sees what passes consoleLevel.
    log.level = log.consoleLevel = 4
    log.msgLogging, log.decor = 1, 0
    log.writer = log_writer


def fill_transport(config: Any, setup: LineSetup) -> None:
    """A TransportConfig. Raises TlsFilesError."""
    trunk = setup.trunk
    config.boundAddress, config.port = trunk.bind_address, setup.sip_port
    config.publicAddress = trunk.public_address or ""
    if setup.transport is not Transport.TLS:
        return
    ours = config.tlsConfig
    ours.proto, ours.verifyServer, ours.CaListFile = tls.TLS_1_2, trunk.tls.verify, tls.issuers(trunk.tls)
    ours.enableRenegotiation = False
    ours.certFile = ours.privKeyFile = tls.our_certificate(trunk.tls)


def choose_codecs(endpoint: Any, wanted: tuple[str, ...]) -> None:
    """All others are switched off: with speex on, one packet can end the process."""
    names = [name.upper() for name in wanted if name.upper() in selfcheck.KNOWN_CODECS]
    codecs = endpoint.codecEnum2()
    for codec in codecs:
        name = codec.codecId.partition("/")[0]
        endpoint.codecSetPriority(codec.codecId, _PRIORITIES[names.index(name)] if name in names else 0)


def fill_account(config: Any, setup: LineSetup, transport: int) -> None:
    """An AccountConfig, but for the login."""
    trunk = setup.trunk
    config.idUri = f"<sip:tocsin@{trunk.public_address or trunk.bind_address}>"
    config.sipConfig.transportId = transport
    if setup.transport is Transport.TLS and trunk.outbound_proxy:
        # Its name stays, for verification; over UDP and TCP the parent finds the address (`Dial.route`).
        config.sipConfig.proxies.append(f"<sip:{trunk.outbound_proxy};transport=tls;lr>")
    call, nat, rtp = config.callConfig, config.natConfig, config.mediaConfig.transportConfig
    call.timerUse, call.timerSessExpiresSec, call.timerMinSESec = _TIMER_ALWAYS, trunk.session_expires_s, 90
    call.prackUse = 0
    nat.sipOutboundUse = nat.contactRewriteUse = nat.viaRewriteUse = nat.udpKaIntervalSec = 0
    rtp.boundAddress, rtp.port, rtp.portRange = trunk.bind_address, setup.rtp_base, setup.rtp_range
    rtp.publicAddress = trunk.public_address or ""
    media = config.mediaConfig
    media.srtpUse, media.srtpSecureSignaling = _SRTP[trunk.srtp], 1
    media.srtpOpt.keyings.append(_KEYS_IN_SDP)


def effective(endpoint: Any, config: Any, account: Any, transport: Any) -> selfcheck.Effective:
    """Read back what is in force; `transport` is the TransportConfig."""
    ua, media, creds = config.uaConfig, config.medConfig, list(account.sipConfig.authCreds)
    rtp, codecs = account.mediaConfig.transportConfig, endpoint.codecEnum2()
    version = endpoint.libVersion()
    return selfcheck.Effective(
        version=version.full,
        capacity=int(ua.maxCalls),
        codecs=tuple(codec.codecId.partition("/")[0] for codec in codecs if codec.priority > 0),
        videos=len(endpoint.videoCodecEnum2()),
        ice=bool(account.natConfig.iceEnabled),
        turn=bool(account.natConfig.turnEnabled),
        upnp=bool(ua.enableUpnp),
        stun=len(ua.stunServer) > 0,
        nameserver=len(ua.nameserver) > 0,
        realms=tuple(cred.realm for cred in creds),
        schemes=tuple(cred.scheme for cred in creds),
        digest_types=tuple(int(cred.dataType) for cred in creds),
        credential_bytes=max((len(t.encode()) for c in creds for t in (c.realm, c.username, c.data)), default=0),
        srtp=int(account.mediaConfig.srtpUse),
        srtp_signalling=int(account.mediaConfig.srtpSecureSignaling),
        tls_verify=bool(transport.tlsConfig.verifyServer),
        tls_issuers=transport.tlsConfig.CaListFile,
        tls_proto=int(transport.tlsConfig.proto),
        sip_bound=transport.boundAddress,
        rtp_bound=rtp.boundAddress,
        rtp_base=int(rtp.port),
        rtp_range=int(rtp.portRange),
        sip_threads=int(ua.threadCnt),
        media_threads=int(media.threadCnt),
        media_ioqueue=bool(media.hasIoqueue),
        main_thread_only=bool(ua.mainThreadOnly),
        auto_close_s=int(media.sndAutoCloseTime),
        no_vad=bool(media.noVad),
        echo_tail_ms=int(media.ecTailLen),
        clock_hz=int(media.clockRate),
        timer_use=int(account.callConfig.timerUse),
        timer_expires_s=int(account.callConfig.timerSessExpiresSec),
        mwi=bool(ua.mwiUnsolicitedEnabled),
        publish=bool(account.presConfig.publishEnabled),
    )
