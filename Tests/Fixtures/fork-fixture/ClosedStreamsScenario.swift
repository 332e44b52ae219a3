// A program that was started without standard streams.

import Prefork
import PreforkFixtureSupport
import PreforkSystem

/// `closed-streams PATH`: says in a file what descriptors 0, 1 and 2 are, before anything else was opened and after a
/// store was made, and whether the store keeps its values when all that prints has printed.
func closedStreamsScenario(_ arguments: [String]) throws {
    let before = (0...2).map { describe(Int32($0)) }
    let store = try SharedStore(capacity: StoreCapacity(entries: 100, bytes: 1 << 16))
    for index in 0..<100 { try store.set("\(index)", index) }
    var runtime = ForkRuntime(workers: .count(1))
    runtime.restarts.limit = 3
    runtime.restarts.backoff.maximum = .zero
    _ = try? runtime.run { worker in
        try await EventLoop.sleep(for: .milliseconds(1))
        complain("a line of a worker")
        print("another line")
        worker.exit(code: 5)
    }
    var kept = 0
    for index in 0..<100 where try store.get("\(index)") == index { kept += 1 }
    let file = open(arguments[0], O_WRONLY | O_APPEND)
    let text = Array((before + ["kept \(kept)", ""]).joined(separator: "\n").utf8)
    write(file, text, text.count)
    _exit(0)
}

private func describe(_ number: Int32) -> String {
    var path = [CChar](repeating: 0, count: 256)
    guard readlink("/proc/self/fd/\(number)", &path, 255) > 0 else { return "closed" }
    let target = String(decoding: path.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    let isKept = fcntl(number, F_GETFD) & FD_CLOEXEC == 0
    return "\(target.hasPrefix("pipe:") ? "pipe" : target) \(fcntl(number, F_GETFL) & O_ACCMODE) \(isKept)"
}
