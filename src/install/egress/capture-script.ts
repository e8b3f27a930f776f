/**
 * Python 3 (3.6 or newer) that watches a machine for some seconds and prints, as one line of JSON, who tried to reach an address that is not
 * inside: processes of the machine, and pods, whose packets arrive on the machine under their own addresses. Needs root; changes nothing,
 * sends nothing. Only first packets are looked at (SYN, UDP, echo requests), chosen by a filter in the kernel, so that a busy machine is not
 * slowed down. `seconds` and `inside` are arguments; SIGTERM ends it early.
 */
export const captureScript = String.raw`
import ctypes, ipaddress, json, os, re, signal, socket, struct, sys, time

seconds = float(sys.argv[1])
inside = [ipaddress.ip_network(text, strict=False) for text in sys.argv[2:]]
always = ('127.0.0.0/8', '169.254.0.0/16', '224.0.0.0/24', '255.255.255.255/32', '0.0.0.0/32', '::1/128', '::/128', 'fe80::/10', 'ff00::/12')
inside += [ipaddress.ip_network(text) for text in always]
limit = 5000
tunnels = (4789, 8472)

def connected():
    """Networks that need no router: they are inside."""
    with open('/proc/net/route') as lines:
        for line in lines:
            part = line.split()
            if len(part) > 7 and part[2] == '00000000' and part[7] != '00000000':
                yield ipaddress.ip_network((hexadecimal(part[1]), bin(int(part[7], 16)).count('1')), strict=False)
    try:
        with open('/proc/net/ipv6_route') as lines:
            for line in lines:
                part = line.split()
                if part[4] == '0' * 32 and int(part[1], 16) > 0 and not int(part[8], 16) & 0x200:
                    yield ipaddress.ip_network((int(part[0], 16), int(part[1], 16)), strict=False)
    except OSError:
        pass

def hexadecimal(text):
    """An address of /proc/net: in words of the machine's byte order, which is little-endian wherever this runs."""
    data = bytes.fromhex(text)
    return socket.inet_ntop(socket.AF_INET if len(data) == 4 else socket.AF_INET6, b''.join(data[i:i + 4][::-1] for i in range(0, len(data), 4)))

def attach(listener):
    """Accepts a first packet: TCP with SYN and no ACK, UDP but tunnels, and any other protocol."""
    ldb, ldh, ldx, indb, indh, land, jeq, ret = 0x30, 0x28, 0xb1, 0x50, 0x48, 0x54, 0x15, 0x06
    code = [
        (ldb, 0, 0, 0), (land, 0, 0, 0xf0), (jeq, 0, 12, 0x40),
        (ldb, 0, 0, 9), (jeq, 0, 4, 6),
        (ldx, 0, 0, 0), (indb, 0, 0, 13), (land, 0, 0, 0x12), (jeq, 15, 16, 2),
        (jeq, 0, 14, 17), (ldx, 0, 0, 0), (indh, 0, 0, 2), (jeq, 12, 0, tunnels[0]), (jeq, 11, 0, tunnels[1]), (jeq, 9, 9, 0),
        (jeq, 0, 9, 0x60),
        (ldb, 0, 0, 6), (jeq, 0, 3, 6), (ldb, 0, 0, 53), (land, 0, 0, 0x12), (jeq, 3, 4, 2),
        (jeq, 0, 2, 17), (ldh, 0, 0, 42), (jeq, 1, 0, tunnels[0]),
        (ret, 0, 0, 0xffff), (ret, 0, 0, 0),
    ]
    data = b''.join(struct.pack('HBBI', *one) for one in code)
    buffer = ctypes.create_string_buffer(data)
    listener.setsockopt(socket.SOL_SOCKET, 26, struct.pack('HL', len(code), ctypes.addressof(buffer)))

def packet(data):
    """(protocol, source, destination, source port, destination port, payload) of an IP packet; None for what is of no interest."""
    if len(data) < 20:
        return None
    if data[0] >> 4 == 4:
        header, protocol, source, target = (data[0] & 15) * 4, data[9], data[12:16], data[16:20]
        if struct.unpack('!H', data[6:8])[0] & 0x1fff:
            return None
    elif data[0] >> 4 == 6 and len(data) >= 40:
        header, protocol, source, target = 40, data[6], data[8:24], data[24:40]
    else:
        return None
    rest = data[header:]
    if protocol in (6, 17) and len(rest) >= 8:
        ports = struct.unpack('!HH', rest[:4])
        return {6: 'tcp', 17: 'udp'}[protocol], ipaddress.ip_address(source), ipaddress.ip_address(target), ports[0], ports[1], rest[8:] if protocol == 17 else b''
    if protocol in (1, 58) and rest[:1] in (b'\x08', b'\x80'):
        return 'icmp', ipaddress.ip_address(source), ipaddress.ip_address(target), 0, 0, b''
    return None

def question(payload):
    """The name that a DNS query asks for."""
    names, at = [], 12
    while at < len(payload) and 0 < payload[at] < 64 and len(names) < 40:
        names.append(payload[at + 1:at + 1 + payload[at]].decode('ascii', 'replace'))
        at += payload[at] + 1
    return '.'.join(names) if names else None

def read(path):
    try:
        with open(path, errors='replace') as file:
            return file.read(1 << 20)
    except OSError:
        return ''

def owner(protocol, source, port):
    """The process that has the socket: looked for in every network namespace that has the address."""
    spaces = {}
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            spaces.setdefault(os.readlink('/proc/%s/ns/net' % pid), []).append(pid)
        except OSError:
            pass
    for pids in spaces.values():
        if str(source) not in read('/proc/%s/net/fib_trie' % pids[0]) and source.version == 4:
            continue
        for name in (protocol, protocol + '6'):
            for line in read('/proc/%s/net/%s' % (pids[0], name)).splitlines()[1:]:
                part = line.split()
                if len(part) > 9 and int(part[1].rsplit(':', 1)[1], 16) == port and part[9] != '0':
                    link = 'socket:[%s]' % part[9]
                    for pid in pids:
                        try:
                            if any(os.readlink('/proc/%s/fd/%s' % (pid, fd)) == link for fd in os.listdir('/proc/%s/fd' % pid)):
                                return described(pid)
                        except OSError:
                            pass
    return None

def described(pid):
    command = read('/proc/%s/comm' % pid).strip()
    pod = re.search(r'pod([0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12})', read('/proc/%s/cgroup' % pid))
    return command, pod.group(1).replace('_', '-') if pod else None

listener = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
attach(listener)
listener.settimeout(0.2)
inside += list(connected())
end = time.monotonic() + seconds
stopped = []
signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
found, owners = {}, {}
while not stopped and time.monotonic() < end and len(found) < limit:
    try:
        data, origin = listener.recvfrom(2048)
    except socket.timeout:
        continue
    if origin[0] == 'lo':
        continue
    parts = packet(data)
    if parts is None or any(parts[2] in network for network in inside if network.version == parts[2].version):
        continue
    protocol, source, target, sport, dport, payload = parts
    key = (protocol, source, sport)
    if key not in owners:
        owners[key] = owner(protocol, source, sport) if protocol != 'icmp' else None
    command, pod = owners[key] or (None, None)
    asked = question(payload) if protocol == 'udp' and dport == 53 else None
    entry = (protocol, str(source), str(target), dport, command, pod, asked)
    found[entry] = found.get(entry, 0) + 1
names = ('protocol', 'source', 'destination', 'port', 'process', 'podUid', 'query')
print(json.dumps({'attempts': [dict(zip(names, entry), packets=count) for entry, count in found.items()], 'full': len(found) >= limit}))
`
