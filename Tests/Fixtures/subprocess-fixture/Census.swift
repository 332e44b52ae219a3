// What this process has: descriptors, children, memory.

import Glibc
import Prefork

struct Failure: Error, CustomStringConvertible {
    let description: String
}

func expect(_ condition: Bool, _ what: @autoclosure () -> String, line: Int = #line) throws {
    if !condition { throw Failure(description: "line \(line): \(what())") }
}

func entryCount(_ path: String) -> Int {
    guard let directory = opendir(path) else { return -1 }
    defer { closedir(directory) }
    var count = 0
    while readdir(directory) != nil { count += 1 }
    return count - 2
}

/// Open descriptors, without the one that counts.
func descriptorCount() -> Int { entryCount("/proc/self/fd") - 1 }

/// Waits until no more descriptors than these are open: exits are noticed on another thread, which may still have had
/// some when these were counted.
func settle(_ count: Int) async throws {
    let end = ContinuousClock.now + .seconds(20)
    while descriptorCount() > count, ContinuousClock.now < end { try await EventLoop.sleep(for: .milliseconds(2)) }
}

/// How many descriptors more than these stay open.
func descriptorsLeft(beyond count: Int) async throws -> Int {
    try await settle(count)
    return max(0, descriptorCount() - count)
}

/// Children, zombies included.
func childCount() -> Int {
    var count = 0
    guard let tasks = opendir("/proc/self/task") else { return -1 }
    defer { closedir(tasks) }
    while let entry = readdir(tasks) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) {
            $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        guard name.first != ".", let file = fopen("/proc/self/task/\(name)/children", "r") else { continue }
        var line = [CChar](repeating: 0, count: 1 << 20)
        if fgets(&line, Int32(line.count), file) != nil {
            count +=
                String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
                .split(separator: " ").count
        }
        fclose(file)
    }
    return count
}

/// Resident memory now, in KiB.
func residentKiB() -> Int {
    guard let file = fopen("/proc/self/statm", "r") else { return -1 }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 200)
    fgets(&line, 200, file)
    let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return (Int(text.split(separator: " ")[1]) ?? 0) * 4
}

/// Makes the shared loop and whatever else is made once, so that a census before and after counts alike.
func warmUp() async throws {
    _ = try await Subprocess.run(Command("true"))
    try await EventLoop.sleep(for: .milliseconds(1))
}
