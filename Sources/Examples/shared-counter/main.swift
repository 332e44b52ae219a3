// Workers that share what they know: a count of requests, a configuration that changes while they run, and a process
// beside them that is talked to over two channels.
//
//   shared-counter [PORT [WORKERS]]
//   curl localhost:8080/                        counts and greets
//   curl localhost:8080/greeting/Good%20day     changes the greeting in every worker
//   curl localhost:8080/tell/hello              sends "hello" to the process "nonebot", over both of its channels

import Glibc
import Prefork

let port = CommandLine.arguments.dropFirst().first.map { UInt16($0) } ?? 8080
let count = CommandLine.arguments.dropFirst(2).first.map { Int($0) } ?? 2
guard let port, let count, count > 0 else {
    print("usage: shared-counter [PORT [WORKERS]]")
    exit(64)
}

// All of it before the fork, so that every process has it.
let store = try SharedStore()
let nonebot = try ChannelDeliver<String>(process: "nonebot")
let listener = try Listener(.tcp("0.0.0.0", port))

var runtime = ForkRuntime(workers: .count(count + 1))
runtime.hooks.onAllReady = {
    print("listening on http://\(listener.address) (pid \(getpid()), \(count) workers and nonebot)")
    fflush(nil)
}
let summary = try runtime.run { worker in
    if worker.taskID == count {
        try await Nonebot(deliver: nonebot).run(until: worker.stopRequested)
    } else {
        try await CounterServer(store: store, nonebot: nonebot, worker: worker).run(on: listener)
    }
}
exit(summary.outcome.exitCode)
