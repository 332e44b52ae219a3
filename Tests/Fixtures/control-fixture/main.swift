// A supervisor that is none: serves the control socket and the metrics of workers that it makes up.
//
// control-fixture SOCKET HTTP-PORT WORKERS   serves until it is asked to stop; prints the HTTP port
// control-fixture impostor SOCKET ANSWER     answers everybody with ANSWER, or by a program of bytes: see Impostor
// control-fixture measure WORKERS            prints how long a status of so many takes

import PreforkSupervisor
import PreforkSystem

let words = CommandLine.arguments
ignoreBrokenPipes()

if words.count == 3, words[1] == "measure", let workers = Int(words[2]) {
    try measure(workers: workers)
} else if words.count == 4, words[1] == "impostor" {
    try Impostor.serve(socket: words[2], answer: words[3])
} else if words.count == 4, let port = UInt16(words[2]), let workers = Int(words[3]) {
    try serve(socket: words[1], port: port, workers: workers)
} else {
    CurrentProcess.exit(code: 64)
}

/// At once: standard output is a pipe to the process that waits for the line.
func write(line: String) throws {
    _ = try Array("\(line)\n".utf8).withUnsafeBytes { try writeBytes(to: 1, $0) }
}

func serve(socket: String, port: UInt16, workers: Int) throws {
    let supervisor = MadeUpSupervisor(workers: workers)
    let usage = WorkerUsageCache()
    let control = try ControlServer(ControlServer.bind(socket), delegate: supervisor, usage: usage)
    let listener = try Listener(.tcp("127.0.0.1", port))
    supervisor.listener = listener
    let metrics = try MetricsServer(listener, delegate: supervisor, usage: usage)
    try write(line: "\(listener.address.port ?? 0)")
    let epoll = try Epoll()
    var events = EpollEventBuffer(capacity: 4)
    try epoll.add(control.descriptor, .readable, word: 0)
    try epoll.add(metrics.descriptor, .readable, word: 0)
    while !supervisor.isStopped || control.clients > 0 {
        let deadline = [control.nextDeadline, metrics.nextDeadline, supervisor.nextDeadline].compactMap { $0 }.min()
        try events.wait(epoll, timeout: deadline.map { max(0, ($0 - .now).saturatedNanoseconds) } ?? -1)
        control.turn()
        metrics.turn()
        supervisor.tick()
    }
}

/// The time from the request to the whole answer, with server and client in one process: nothing is hidden.
func measure(workers: Int) throws {
    let path = "/tmp/prefork-control-\(CurrentProcess.pid)"
    let supervisor = MadeUpSupervisor(workers: workers)
    for (name, pids) in [("own process", [CurrentProcess.pid]), ("every process here", livingProcesses())] {
        supervisor.borrow(pids)
        var times: [Duration] = []
        var size = 0
        for _ in 0..<50 {
            // A server each: its figures are its own, not those of 200 ms ago.
            let server = try ControlServer(ControlServer.bind(path), delegate: supervisor)
            let client = Descriptor(owning: try Socket.open(for: .unix(path: path)))
            try Socket.connect(client.number, to: .unix(path: path))
            let start = MonotonicInstant.now
            size = try ask(server, client.number)
            times.append(.now - start)
        }
        times.sort()
        print("status of \(workers) workers (\(name)): median \(times[25]), worst \(times[49]), \(size) bytes")
    }
    CurrentProcess.exit(code: 0)
}

func ask(_ server: ControlServer, _ client: Int32) throws -> Int {
    let request = Array("{\"command\":\"status\"}\n".utf8)
    _ = try request.withUnsafeBytes { try sendBytes(to: client, $0) }
    var chunk = [UInt8](repeating: 0, count: 1 << 20)
    var size = 0
    while true {
        server.turn()
        while case .bytes(let count) = try chunk.withUnsafeMutableBytes({ try readBytes(from: client, into: $0) }) {
            size += count
            if chunk[count - 1] == UInt8(ascii: "\n") { return size }
        }
    }
}

func livingProcesses() -> [Int32] {
    DirectoryListing.names("/proc").compactMap { Int32($0) }
}
