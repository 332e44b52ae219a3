// Managed processes of a program that is upgraded in place: they serve a port, and take numbers from a worker.

import Glibc
import Prefork
import PreforkFixtureSupport
import PreforkSystem

/// Two managed processes, of which `top` needs `base`. Each answers HTTP requests on a port of its own with its process
/// ID. Worker 0 sends numbers to `top`.
///
/// Settings: `switches=FOLDER`, `succession=new`. What the second image does otherwise, by switches: `new-crash-NAME`
/// before it is ready, `new-crash-later-NAME` after that, `new-hang-NAME` never becomes ready, `new-without-NAME`,
/// `new-with-more`, `new-main-ends`, `new-main-crashes`; with `new-wait-NAME` it becomes ready when the switch is gone.
/// With `quiet` worker 0 sends no more, and says when all has come.
func upgradeScenario(_ arguments: [String]) throws {
    let settings = Settings(arguments)
    let switches = Switches(folder: settings["switches"] ?? "/nonexistent")
    let store = try SharedStore(name: "upgrade")
    let image = Int(try store.increment("images"))
    let isTrial = Handover.isTrial
    func isNew(_ name: String) -> Bool { image == 2 && switches.isOn("new-\(name)") }
    let listeners = try ["base": Listener(.tcp("127.0.0.1", 0)), "top": Listener(.tcp("127.0.0.1", 0))]
    let succession = settings["succession"] == "new" ? TargetSuccession.newFirst : .stopFirst
    var runtime = ForkRuntime(workers: .count(2))
    @Sendable func run(_ name: String, _ child: ManagedChild<String>) async throws {
        say("\(name) is \(getpid()) generation \(child.generation) image \(image)")
        if image == 2, switches.isOn("new-crash-\(name)") { _exit(9) }
        try child.passive.onReceive { text in
            let words = text.split(separator: " ")
            let last = try store.get("\(words[0])", as: Int.self) ?? 0
            if Int(words[1]) != last + 1 { say("gap: \(words[1]) after \(last)") }
            try store.set("\(words[0])", last + 1)
            _ = try store.increment("got")
        }
        while image == 2, switches.isOn("new-hang-\(name)") || switches.isOn("new-wait-\(name)") {
            try await EventLoop.sleep(for: .milliseconds(2))
        }
        child.ready()
        if image == 2, switches.isOn("new-crash-later-\(name)") {
            try await EventLoop.sleep(for: .milliseconds(100))
            _exit(9)
        }
        guard let listener = listeners[name] else { return try await child.stopRequested.wait() }
        try await listener.serve { connection in
            while try await connection.reader.waitForMessage() {
                let head = try await connection.reader.read(until: "\r\n\r\n", limit: 8192)
                let text = String(decoding: head, as: UTF8.self)
                let isLast = connection.isDraining || text.contains("Connection: close")
                let (body, end) = ("\(getpid())", isLast ? "Connection: close\r\n" : "")
                try await connection.writer.write(
                    "HTTP/1.1 200 OK\r\nContent-Length: \(body.utf8.count)\r\n\(end)\r\n\(body)")
                if isLast { return }
            }
        }
    }
    var options = TargetOptions(
        onFailure: .restart(RestartPolicy()), readiness: .manual, grace: .seconds(30), succession: succession)
    for name in ["base", "top"] where !isNew("without-\(name)") {
        try runtime.manager.addTarget(name, options) { child in
            try await run(name, child)
            return 0
        }
        options.dependencies = [name]
    }
    if isNew("with-more") {
        try runtime.manager.addTarget("more", options) { child in
            try await run("more", child)
            return 0
        }
    }
    if !isTrial, isNew("main-ends") { exit(7) }
    if !isTrial, isNew("main-crashes") { abort() }
    runtime.hooks.onAllReady = { say("all ready, image \(image)") }
    say("ports \(["base", "top"].map { "\(listeners[$0]?.address.port ?? 0)" }.joined(separator: " "))")
    let summary = try runtime.run { worker in
        guard worker.taskID == 0 else { return try await worker.stopRequested.wait() }
        let top = try ChannelDeliver<String>.facing("top")
        var number = 0
        while !worker.stopRequested.isRequested {
            if !switches.isOn("quiet") {
                number += 1
                // Its process may be killed by the test, and has a successor.
                do { try await top.passive.send("\(getpid()) \(number)") } catch is ChannelError {}
                _ = try store.increment("sent")
            } else if try store.get("sent", as: Int.self) == store.get("got", as: Int.self) {
                say("all have come")
            }
            try await EventLoop.sleep(for: .milliseconds(1))
        }
    }
    let (sent, got) = (try store.get("sent", as: Int.self) ?? 0, try store.get("got", as: Int.self) ?? 0)
    say("lost \(sent - got)")
    say("outcome \(summary.outcome), children \(childCount)")
    exit(summary.outcome.exitCode)
}
