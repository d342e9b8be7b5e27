"""What is in the way to a trunk (sip/probing.py), in words, and what to do about it. Pure."""

from sip.probing import Obstacle, WayError
from sip.trunk import Trunk

# what was seen, what to do; {host}, {port}, {bind} and {words} are filled in
_WAY: dict[Obstacle, tuple[str, str]] = {
    Obstacle.NO_SUCH_NAME: (
        "No address is known for {host} ({words}).",
        "Correct the trunk's host; `getent hosts {host}` on this machine has to find it.",
    ),
    Obstacle.NO_RESOLVER: (
        "The name server did not say what {host} is ({words}).",
        "Mend name resolution on this machine (/etc/resolv.conf), or give the trunk's host as an address.",
    ),
    Obstacle.REFUSED: (
        "{host} port {port} refuses connections: nobody listens there.",
        "Check the trunk's port and transport (udp, tcp or tls); a firewall that rejects looks the same.",
    ),
    Obstacle.NO_ROUTE: (
        "No route leads from {bind} to {host} ({words}).",
        "Check the routes of this machine, and bind_address of the trunk.",
    ),
    Obstacle.TIMEOUT: (
        "Nothing comes back from {host} port {port}.",
        "Check the address and port; open the firewall on this side for it, and ask the carrier to allow ours.",
    ),
    Obstacle.BIND: (
        "{bind} is not an address of this machine.",
        "Correct bind_address of the trunk, or leave it out: then the address that faces the trunk is taken.",
    ),
    Obstacle.CLOSED: (
        "{host} closes the connection before a word is said.",
        "It may not know our address, or not speak this transport at port {port}: ask the carrier.",
    ),
    Obstacle.WRONG_NAME: (
        "The certificate is for another name than {host}.",
        "Write the name of the certificate as the trunk's host; an address matches only if the certificate names it.",
    ),
    Obstacle.UNTRUSTED: (
        "The certificate's issuer is not among those we trust.",
        "Put the carrier's issuer (PEM) into a file and name it in tls.ca; or their side sends no intermediate.",
    ),
    Obstacle.EXPIRED: (
        "The certificate has expired.",
        "The carrier has to renew it; check this machine's clock too.",
    ),
    Obstacle.NOT_YET_VALID: (
        "The certificate is not valid yet.",
        "Check this machine's clock; else the carrier has to mend the certificate.",
    ),
    Obstacle.VERSION: (
        "No version of TLS that both sides speak: ours is 1.2 ({words}).",
        "The carrier has to allow TLS 1.2, or a proxy between us has to; 1.0 and 1.1 are broken and stay off.",
    ),
    Obstacle.HANDSHAKE: (
        "{host} ended the TLS handshake without saying why ({words}).",
        "It may want a certificate of ours: name the file in tls.client_cert. Else no cipher of TLS 1.2 suits both.",
    ),
    Obstacle.NOT_TLS: (
        "What listens at {host} port {port} does not speak TLS.",
        'Port 5061 is usual for tls; for 5060 set transport = "tcp" or "udp".',
    ),
    Obstacle.CLIENT_CERTIFICATE: (
        "The trunk wants a certificate of ours, and does not take what we have ({words}).",
        "Name the file with our certificate and key, issued as the carrier says, in tls.client_cert.",
    ),
    Obstacle.FILES: (
        "{words}.",
        "Correct tls.ca or tls.client_cert of the trunk; the files are read on the dialer's machine.",
    ),
    Obstacle.OTHER: ("The system says: {words}.", "Look at the SIP ladder and at a capture of the traffic."),
}


def seen_and_fix(error: WayError, trunk: Trunk, host: str, port: int) -> tuple[str, str]:
    """What was seen, and what to do. `host`, `port`: of the first hop."""
    what, fix = _WAY[error.obstacle]
    facts = {"host": host, "port": port, "bind": trunk.bind_address, "words": str(error).rstrip(".")}
    return what.format(**facts), fix.format(**facts)
