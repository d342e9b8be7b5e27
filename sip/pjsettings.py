"""Which settings PJSIP gets, and how they are read back for the self-check.

The objects are the library's and are made by sip/engine.py; here they are only filled in and read.
"""

from typing import Any
from urllib.parse import quote

from sip import selfcheck, tls
from sip.setup import LineSetup
from sip.trunk import Srtp, Transport

_PRIORITIES = (254, 253, 252)
_USER_CHARACTERS = "-_.!~*'()&=+$,"  # RFC 3261 section 25.1: what else a user part may hold as it is
_KEEP_ALIVE_S = 15  # shorter than what routers remember a UDP flow for (RFC 5626 section 4.4)
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
        config.sipConfig.proxies.append(proxy(setup, trunk.outbound_proxy))
    call, nat, rtp = config.callConfig, config.natConfig, config.mediaConfig.transportConfig
    call.timerUse, call.timerSessExpiresSec, call.timerMinSESec = _TIMER_ALWAYS, trunk.session_expires_s, 90
    call.prackUse = 0
    nat.sipOutboundUse = nat.contactRewriteUse = nat.viaRewriteUse = nat.udpKaIntervalSec = 0
    # Over TCP and TLS the Contact is where our end of the connection is, unless that is an address nobody may see.
    nat.contactUseSrcPort = 0 if trunk.public_address else 1
    rtp.boundAddress, rtp.port, rtp.portRange = trunk.bind_address, setup.rtp_base, setup.rtp_range
    rtp.publicAddress = trunk.public_address or ""
    media = config.mediaConfig
    media.srtpUse, media.srtpSecureSignaling = _SRTP[trunk.srtp], 1
    media.srtpOpt.keyings.append(_KEYS_IN_SDP)


def proxy(setup: LineSetup, where: str) -> str:
    """Where requests go first, as a route.

    RFC 3261 section 8.1.2: a proxy of the operator's choice stands in it; an address that we only looked up is
    nobody's business.
    """
    hidden = "" if setup.trunk.outbound_proxy else ";hide"
    return f"<sip:{where}{_over(setup)};lr{hidden}>"


def fill_registration(config: Any, setup: LineSetup, transport: int, sip_port: int, route: str | None) -> None:
    """The AccountConfig of the account that registers, but for the login. The library retries nothing by itself."""
    trunk, rules, reg, nat = setup.trunk, setup.trunk.register, config.regConfig, config.natConfig
    target = next(uri for uri in trunk.uris if uri.enabled)
    registrar = rules.registrar or bracketed_host(target.host, target.port)
    user = quote(trunk.auth.username if trunk.auth else "tocsin", safe=_USER_CHARACTERS)
    config.idUri = f"<sip:{user}@{_without_port(registrar)}>"
    reg.registrarUri = f"sip:{registrar}{_over(setup)}"
    reg.registerOnAdd, reg.timeoutSec, reg.unregWaitMsec = False, rules.expires_s, 500
    reg.retryIntervalSec = reg.firstRetryIntervalSec = reg.randomRetryIntervalSec = 0
    if rules.contact:
        ours = bracketed_host(trunk.public_address or trunk.bind_address, sip_port)
        config.sipConfig.contactForced = f"<sip:{quote(rules.contact, safe=_USER_CHARACTERS)}@{ours}{_over(setup)}>"
    config.sipConfig.transportId = transport
    first = route or trunk.outbound_proxy
    if first:
        config.sipConfig.proxies.append(proxy(setup, first))
    # RFC 5626 is not asked for: a registrar that knows none of it answers 439, and the library gives up for good.
    nat.sipOutboundUse = nat.viaRewriteUse = 0
    # Without an address given by the operator, the registrar's word for how we look from outside is the best there is.
    nat.contactRewriteUse = 0 if trunk.public_address or rules.contact else 1
    nat.udpKaIntervalSec = _KEEP_ALIVE_S


def bracketed_host(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host and not host.startswith("[") else f"{host}:{port}"


def _without_port(where: str) -> str:
    return where if where.endswith("]") else where.rpartition(":")[0] or where


def _over(setup: LineSetup) -> str:
    return "" if setup.transport is Transport.UDP else f";transport={setup.transport}"


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
