// Clients that never stop asking, and count what they do not get.

import PreforkFixtureSupport
import PreforkSystem

private enum Word {
    static let stops = 0
    static let answers = 1
    static let failures = 2
}

/// `load port=P [keep=N] [once=N]`: clients that keep their connections and clients that do not, until SIGTERM. Then a
/// line `answers N failures N`.
func loadScenario(_ arguments: [String]) throws {
    let settings = Settings(arguments)
    let port = UInt16(settings.number("port") ?? 0)
    let words = try SharedWords()
    let mask = SignalMask.block(SignalSet([.terminate]))
    var clients: [Int32] = []
    for index in 0..<(settings.number("keep") ?? 4) + (settings.number("once") ?? 2) {
        let keeps = index < settings.number("keep") ?? 4
        clients.append(
            try child {
                SignalMask.restore(mask)
                while words[Word.stops] == 0 { session(port, keeps: keeps, words) }
            })
    }
    until { words[Word.answers] > 0 }
    say("load runs")
    var set = sigset_t()
    sigemptyset(&set)
    sigaddset(&set, SIGTERM)
    var signal: Int32 = 0
    sigwait(&set, &signal)
    words[Word.stops] = 1
    clients.forEach(join)
    say("answers \(words[Word.answers]) failures \(words[Word.failures])")
}

/// One connection: one request, or as many as the server lets it make.
private func session(_ port: UInt16, keeps: Bool, _ words: SharedWords) {
    let fd = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(fd) }
    // In an emulated machine that shares its processors a start alone took 45 s.
    var limit = timeval(tv_sec: 120, tv_usec: 0)
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    guard SocketAddress.ipv4(0x7F00_0001, port: port).withSockaddr({ connect(fd, $0, $1) }) == 0 else {
        return failed("connect: errno \(errno)", words)
    }
    repeat {
        let request = Array("GET / HTTP/1.1\r\nHost: x\r\n\r\n".utf8)
        guard send(fd, request, request.count, Int32(MSG_NOSIGNAL)) == request.count else {
            return failed("send: errno \(errno)", words)
        }
        guard let answer = readAnswer(fd) else { return failed("no answer: errno \(errno)", words) }
        _ = words.next(Word.answers)
        if answer.contains("Connection: close") { return }
    } while keeps && words[Word.stops] == 0
}

/// Head and body, which are short. Nil if the server ends the connection before.
private func readAnswer(_ fd: Int32) -> String? {
    var text = ""
    var bytes = [UInt8](repeating: 0, count: 4096)
    while true {
        let count = recv(fd, &bytes, bytes.count, 0)
        guard count > 0 else { return nil }
        text += String(decoding: bytes[..<count], as: UTF8.self)
        // The end of the body is not looked for: it is sent with its head, in one segment.
        if text.contains("\r\n\r\n") { return text }
    }
}

private func failed(_ reason: String, _ words: SharedWords) {
    _ = words.next(Word.failures)
    complain(reason)
}
