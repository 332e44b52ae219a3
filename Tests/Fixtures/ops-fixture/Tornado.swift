// A pool of the tornado form: the call after which the caller is a worker.

import Glibc
import Prefork
import PreforkFixtureSupport
import PreforkSystem

/// Answers each connection with task ID and process ID. Switches as those of `serve` that begin with `new-`.
func tornadoScenario(_ arguments: [String]) throws {
    let settings = Settings(arguments)
    let ending = Ending(switches: Switches(folder: settings["switches"] ?? "/nonexistent"))
    ending.at("start")
    let listener = try Listener(.tcp("127.0.0.1", 0))
    say("port \(listener.address) pid \(getpid())")
    let taskID = try forkProcesses(settings.number("workers") ?? 2)
    var wanted = pollfd(fd: listener.descriptor, events: Int16(POLLIN), revents: 0)
    while true {
        _ = poll(&wanted, 1, -1)
        let connection = accept(listener.descriptor, nil, nil)
        if connection < 0 { continue }
        var request = [UInt8](repeating: 0, count: 4096)
        _ = recv(connection, &request, request.count, 0)
        let body = "\(taskID) \(getpid()) 0"
        let answer = Array("HTTP/1.1 200 OK\r\nContent-Length: \(body.utf8.count)\r\nConnection: close\r\n\r\n\(body)".utf8)
        _ = send(connection, answer, answer.count, Int32(MSG_NOSIGNAL))
        close(connection)
    }
}
