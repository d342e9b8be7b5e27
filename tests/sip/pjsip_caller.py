"""PJSIP as a judge of the catch-all phone: one call from a process of its own; what it saw goes to a JSON file.

`python -m tests.sip.pjsip_caller RESULT.json PORT NUMBER SOUND.wav SECONDS [OVERRIDE]`: hangs up SECONDS after the
answer. Written apart from sip/engine.py, so that the two can be judged apart. Never imported by a test: pjsua2 aborts
its process when it is unhappy.
"""

import json
import os
import sys
import time

import pjsua2 as pj  # noqa: TID251  # a judge of the phone, not part of the product


class _Call(pj.Call):
    def __init__(self, account: pj.Account, sound: str, seen: dict[str, object]) -> None:
        super().__init__(account)
        self._sound = sound
        self.seen = seen
        self.states: list[str] = []
        self.digits = ""
        self.answered = 0.0
        self.over = False
        self.player: pj.AudioMediaPlayer | None = None

    def onCallState(self, prm: pj.OnCallStateParam) -> None:
        info = self.getInfo()
        self.states.append(info.stateText)
        if info.state == pj.PJSIP_INV_STATE_CONFIRMED:
            self.answered = time.monotonic()
            self._speak(info)
        if info.state == pj.PJSIP_INV_STATE_DISCONNECTED:
            self.seen["code"], self.seen["reason"] = info.lastStatusCode, info.lastReason
            self.over = True

    def onCallMediaState(self, prm: pj.OnCallMediaStateParam) -> None:
        self._speak(self.getInfo())

    def _speak(self, info: pj.CallInfo) -> None:
        """Once answered and with media; the two are told in either order."""
        active = any(media.status == pj.PJSUA_CALL_MEDIA_ACTIVE for media in info.media)
        if self.player is None and active and info.state == pj.PJSIP_INV_STATE_CONFIRMED:
            self.player = pj.AudioMediaPlayer()
            self.player.createPlayer(self._sound, pj.PJMEDIA_FILE_NO_LOOP)
            self.player.startTransmit(self.getAudioMedia(-1))

    def onDtmfDigit(self, prm: pj.OnDtmfDigitParam) -> None:
        self.digits += prm.digit

    def note_stream(self) -> None:
        stream, info = self.getStreamStat(0), self.getStreamInfo(0)
        sent, received = stream.rtcp.txStat, stream.rtcp.rxStat
        self.seen |= {
            "codec": info.codecName,
            "sent": sent.pkt,
            "received": received.pkt,
            "sent_lost": sent.loss,  # as the phone's receiver reports say
            "received_lost": received.loss,
            "sent_jitter_ms": sent.jitterUsec.mean / 1000,
            "received_jitter_ms": received.jitterUsec.mean / 1000,
            "rtt_ms": stream.rtcp.rttUsec.mean / 1000,
        }


def _endpoint() -> pj.Endpoint:
    endpoint = pj.Endpoint()
    endpoint.libCreate()
    config = pj.EpConfig()
    config.uaConfig.threadCnt, config.uaConfig.mainThreadOnly = 0, True
    config.medConfig.hasIoqueue, config.medConfig.threadCnt = False, 0
    config.medConfig.clockRate, config.medConfig.noVad, config.medConfig.ecTailLen = 8000, True, 0
    config.medConfig.sndAutoCloseTime = -1
    config.logConfig.level = config.logConfig.consoleLevel = 0
    endpoint.libInit(config)
    transport = pj.TransportConfig()
    transport.boundAddress = "127.0.0.1"
    endpoint.transportCreate(pj.PJSIP_TRANSPORT_UDP, transport)
    endpoint.libStart()
    endpoint.audDevManager().setNullDev()
    for codec in endpoint.codecEnum2():
        endpoint.codecSetPriority(codec.codecId, 200 if codec.codecId.startswith("PCM") else 0)
    return endpoint


def _header(name: str, value: str) -> pj.SipHeader:
    header = pj.SipHeader()
    header.hName, header.hValue = name, value
    return header


def main(result: str, port: str, number: str, sound: str, seconds: str, override: str = "") -> None:
    endpoint = _endpoint()
    config = pj.AccountConfig()
    config.idUri = "<sip:12025550199@127.0.0.1>"
    config.callConfig.timerUse = 3  # PJSUA_SIP_TIMER_ALWAYS: Python has no name for it
    config.callConfig.timerSessExpiresSec = 90
    config.mediaConfig.transportConfig.boundAddress = "127.0.0.1"
    account = pj.Account()
    account.create(config)
    seen: dict[str, object] = {}
    call = _Call(account, sound, seen)
    prm = pj.CallOpParam(True)
    headers = [_header("X-Call-Id", "call_01PJSIP"), *([_header("X-Tocsin-Sandbox", override)] if override else [])]
    prm.txOption.headers = pj.SipHeaderVector(headers)
    call.makeCall(f"sip:{number}@127.0.0.1:{port}", prm)

    give_up = time.monotonic() + 30
    while not call.over and time.monotonic() < give_up:
        endpoint.libHandleEvents(10)
        if call.answered and time.monotonic() > call.answered + float(seconds):
            call.note_stream()
            call.hangup(pj.CallOpParam())
            call.answered = 0.0
    seen |= {"states": call.states, "digits": call.digits}
    with open(result, "w") as file:
        json.dump(seen, file)
    os._exit(0)  # nothing of PJSIP is worth a tidy end here


if __name__ == "__main__":
    main(*sys.argv[1:])
