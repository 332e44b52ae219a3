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
let listener = try Listener(.tcp("0.0.0.0", port))

var runtime = ForkRuntime(workers: .count(count))
var nonebot = TargetOptions(onFailure: .restart(RestartPolicy()))
// Messages that arrive while it is restarted are for the next one.
nonebot.channels.undelivered = .keep
try runtime.manager.addTarget("nonebot", nonebot, Nonebot.run)
runtime.hooks.onAllReady = {
    print("listening on http://\(listener.address) (pid \(getpid()), \(count) workers and nonebot)")
    fflush(nil)
}
let summary = try runtime.run { worker in
    // A channel has two ends, and an end one process: worker 0 speaks for all.
    let nonebot = worker.taskID == 0 ? try ChannelDeliver<String>.facing("nonebot") : nil
    try await CounterServer(store: store, nonebot: nonebot, worker: worker).run(on: listener)
}
exit(summary.outcome.exitCode)
