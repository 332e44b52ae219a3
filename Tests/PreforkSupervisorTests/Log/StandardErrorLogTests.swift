// The log on a standard error whose reader is late, or gone.

import Glibc
import PreforkSystem
import Testing

@testable import PreforkSupervisor

@Suite struct StandardErrorLogTests {
    private func drain(_ reading: Int32) throws -> String {
        var text: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while case .bytes(let count) = try buffer.withUnsafeMutableBytes({ try readBytes(from: reading, into: $0) }) {
            text += buffer[..<count]
        }
        return String(decoding: text, as: UTF8.self)
    }

    private func number(_ line: Substring) -> Int? { line.split(separator: " ").last.flatMap { Int($0) } }

    @Test func `Lines wait for a reader that is late, whole and in order`() throws {
        let pipe = try makePipe()
        defer { closeDescriptors([pipe.reading, pipe.writing]) }
        let log = StandardErrorLog(descriptor: pipe.writing)
        // Several times what a pipe holds.
        for number in 0..<5000 { log.write(LogLine(.info, "line \(number)")) }
        var text = ""
        while let next = log.nextTry {
            text += try drain(pipe.reading)
            log.retry(at: next)
        }
        text += try drain(pipe.reading)
        #expect(text.split(separator: "\n").map(number) == Array(0..<5000))
    }

    @Test func `What is too much is lost and counted`() throws {
        let pipe = try makePipe()
        defer { closeDescriptors([pipe.reading, pipe.writing]) }
        let log = StandardErrorLog(descriptor: pipe.writing)
        let long = String(repeating: "x", count: 4000)
        for number in 0..<400 { log.write(LogLine(.info, "\(long) \(number)")) }
        var text = ""
        while let next = log.nextTry {
            text += try drain(pipe.reading)
            log.retry(at: next)
        }
        log.write(LogLine(.info, "after it"))
        text += try drain(pipe.reading)
        let lines = text.split(separator: "\n")
        let kept = lines.prefix { $0.contains(long) }.count
        #expect(lines[0..<kept].map(number) == Array(0..<kept))
        #expect(lines[kept].hasSuffix("\(400 - kept) log lines were lost: standard error was full"))
        #expect(lines[kept + 1].hasSuffix("after it") && lines.count == kept + 2)
    }

    @Test func `Without a reader nothing waits`() throws {
        ignoreBrokenPipes()
        let pipe = try makePipe()
        closeDescriptor(pipe.reading)
        let log = StandardErrorLog(descriptor: pipe.writing)
        log.write(LogLine(.info, "to nobody"))
        #expect(log.nextTry == nil)
        closeDescriptor(pipe.writing)
    }

    @Test func `The end of the process waits for a reader, but not long`() throws {
        let pipe = try makePipe()
        defer { closeDescriptors([pipe.reading, pipe.writing]) }
        let log = StandardErrorLog(descriptor: pipe.writing)
        for number in 0..<5000 { log.write(LogLine(.info, "line \(number)")) }
        log.finish()
        #expect(log.nextTry != nil, "it has given up")
    }
}
