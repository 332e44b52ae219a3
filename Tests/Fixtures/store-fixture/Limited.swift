// A store in a control group with a memory limit.

import Prefork
import PreforkFixtureSupport

/// `limited MEGABYTES`: makes a store and fills it, in a process whose group has a limit.
func limitedScenario(_ arguments: [String]) throws {
    let bytes = arguments.number(0, default: 1) << 20
    do {
        let store = try SharedStore(capacity: StoreCapacity(entries: 20_000, bytes: bytes, publishLog: 0))
        say("reserved \(chargedMegabytes() >= bytes >> 20)")
        let value = [UInt8](repeating: 1, count: 64 << 10)
        var count = 0
        do {
            while true {
                try store.set("\(count)", value)
                count += 1
            }
        } catch { say("filled \(count * value.count >= bytes / 10 * 9)") }
    } catch let error as StoreError {
        if case .memoryLimit(let needed, let limit, let group) = error.code {
            say("refused \(needed >= bytes) \(limit >> 20) \(group.hasPrefix("/sys/fs/cgroup"))")
        } else {
            say("error \(error)")
        }
    }
}

/// What its memory group, of version 1, has in use.
private func chargedMegabytes() -> Int {
    var line = [CChar](repeating: 0, count: 256)
    guard let group = fopen("/proc/self/cgroup", "r") else { return 0 }
    defer { fclose(group) }
    while fgets(&line, 256, group) != nil {
        let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let parts = text.split(separator: ":", maxSplits: 2).map(String.init)
        guard parts.count == 3, parts[1] == "memory" else { continue }
        let path = "/sys/fs/cgroup/memory" + parts[2].filter { $0 != "\n" } + "/memory.usage_in_bytes"
        guard let usage = fopen(path, "r") else { return 0 }
        defer { fclose(usage) }
        guard fgets(&line, 256, usage) != nil else { return 0 }
        return Int(atol(line)) >> 20
    }
    return 0
}
