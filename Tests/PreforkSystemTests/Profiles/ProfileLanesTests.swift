// Samples that a process takes of itself.

import Glibc
import PreforkTestSupport
import Testing

@testable import PreforkSystem

@Suite struct ProfileLanesTests {
    /// A child's writing, as the handler does it.
    private struct Writer {
        let lanes: ProfileLanes

        func word(_ lane: Int, _ index: Int) -> UnsafeMutablePointer<UInt64> { lanes.rawWord(lane, index) }

        func write(_ number: UInt64, count: UInt64 = 2, weight: UInt64 = 1, lane: Int = 0) {
            let start = 64 * (1 + Int(number % 255))
            word(lane, start).pointee = count
            word(lane, start + 1).pointee = weight
            for frame in 0..<62 { word(lane, start + 2 + frame).pointee = number + UInt64(frame) }
            word(lane, 0).pointee = number + 1
        }
    }

    @Test func samplesAreReadOnceAndInOrder() throws {
        let lanes = try ProfileLanes()
        let writer = Writer(lanes: lanes)
        var position: UInt64 = 0
        #expect(lanes.read(0, from: &position).samples.isEmpty)
        for number in 0..<3 { writer.write(UInt64(number)) }
        let (samples, lost) = lanes.read(0, from: &position)
        #expect(samples == (0..<3).map { StackSample(weight: 1, frames: [$0, $0 + 1]) })
        #expect(lost == 0 && position == 3)
        #expect(lanes.read(0, from: &position).samples.isEmpty)
        writer.write(3, lane: 63)
        var other: UInt64 = 3
        #expect(lanes.read(63, from: &other).samples.count == 1)
    }

    @Test func whatWasOverwrittenIsCounted() throws {
        let lanes = try ProfileLanes()
        let writer = Writer(lanes: lanes)
        for number in 0..<1_000 { writer.write(UInt64(number)) }
        var position: UInt64 = 0
        let (samples, lost) = lanes.read(0, from: &position)
        // The child may write the next one meanwhile.
        #expect(samples.count == 254 && samples.last?.frames.first == 999)
        #expect(lost == 746 && position == 1_000)
    }

    @Test(arguments: [0, 63, .max] as [UInt64]) func aSampleOfAnyNumbersIsBounded(_ number: UInt64) throws {
        let lanes = try ProfileLanes()
        let writer = Writer(lanes: lanes)
        var position: UInt64 = 0
        writer.write(0, count: number)
        writer.write(1, weight: number == 63 ? 1_025 : number)
        #expect(lanes.read(0, from: &position).samples.isEmpty)
        for head: UInt64 in [.max, 0, .max - 1, 5, 1 << 63] {
            writer.word(0, 0).pointee = head
            let (samples, _) = lanes.read(0, from: &position)
            #expect(samples.count <= ProfileLanes.samplesInLane && position == head)
        }
    }

    @Test func aProcessSamplesItselfWhileItUsesItsProcessor() async throws {
        let program = try ChildProgram("host-fixture", ["profile"])
        #expect(try await program.waitForExit() == 0, "\(program.output)\n\(program.errors)")
        let lines = program.output.split(separator: "\n")
        let words = try #require(lines.first { $0.hasPrefix("samples ") }).split(separator: " ")
        let samples = try #require(Int(words[1]))
        // 99 for each second of processor time, of which it has used half of one or more.
        #expect(samples >= 20, "\(program.output)")
        #expect(program.output.contains("burns true"), "the function that uses the time is in most of them")
        #expect(program.output.contains("idle 0"), "an idle process takes none")
        #expect(program.output.contains("stranger 0"), "only its parent gives orders")
        #expect(program.output.contains("stopped 0"), "it stops when it is told to")
    }
}
