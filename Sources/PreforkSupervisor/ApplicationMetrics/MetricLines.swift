// The memory in which the processes of a pool count.

import PreforkSystem
import Synchronization

/// A line of `MetricLayout.byteCount` bytes for each process, in one memory file. Untouched pages take no memory.
///
/// The supervisor has the lines mapped. A child moves its own line to where it counts (`MetricWindow`) and unmaps the
/// others, so that it neither sees nor changes what its siblings count. It has no descriptor of the file. The
/// supervisor trusts no word of it: each may hold anything at any time.
final class MetricLines {
    /// The first is the supervisor's own.
    static let own = 0
    static let most = 16_384
    /// How many there are: fewer than `most` where a limit of file sizes (RLIMIT_FSIZE) would end the process.
    let count: Int
    private static let chunkLines = 64

    private final class Chunk {
        let mapping: SharedMapping

        init(_ mapping: consuming SharedMapping) { self.mapping = mapping }
    }

    let file: MemoryFile
    /// Lines side by side, mapped when the first of them is used.
    private var chunks: [Chunk] = []

    init() throws(SystemError) {
        let most = min(Self.most, MemoryFile.sizeLimit / Self.chunkBytes * Self.chunkLines)
        guard most > 0 else { throw SystemError("ftruncate", .fileTooLarge, on: "metrics") }
        file = try MemoryFile(name: "prefork-metrics", byteCount: most * MetricLayout.byteCount)
        count = most
    }

    /// - Throws: EPERM, EINVAL for a file that is none.
    init(inherited number: Int32) throws(SystemError) {
        let file = MemoryFile(owning: Descriptor(owning: number))
        let size = try file.sealedByteCount()
        guard size >= Self.chunkBytes, size % Self.chunkBytes == 0, size <= Self.most * MetricLayout.byteCount else {
            throw SystemError("mmap", .invalidArgument, on: "the metrics of the previous image")
        }
        count = size / MetricLayout.byteCount
        file.keepWhole(false)
        self.file = file
    }

    /// No child can make holes in the memory and so have the supervisor wait for each word.
    func keepWhole(_ on: Bool) { file.keepWhole(on) }

    private static let chunkBytes = chunkLines * MetricLayout.byteCount

    /// Before the line is used.
    func map(_ line: Int) throws(SystemError) {
        while chunks.count <= line / Self.chunkLines {
            keepWhole(false)
            defer { keepWhole(true) }
            let mapping = try SharedMapping(
                file, offset: chunks.count * Self.chunkBytes, byteCount: Self.chunkBytes)
            mapping.keepFromDumps()
            chunks.append(Chunk(mapping))
        }
    }

    /// Where a line begins that was mapped.
    func base(_ line: Int) -> UnsafeMutableRawPointer {
        chunks[line / Self.chunkLines].mapping.base + line % Self.chunkLines * MetricLayout.byteCount
    }

    /// Proof: `word` is within a line that was mapped, aligned to eight bytes, and only ever used as an atomic one.
    @inline(__always)
    static func load(_ base: UnsafeMutableRawPointer, _ word: Int) -> UInt64 {
        (base + word * 8).assumingMemoryBound(to: Atomic<UInt64>.self).pointee.load(ordering: .relaxed)
    }

    /// In a new child: it counts on its line, and has no other line.
    ///
    /// - Parameter line: if nil, in memory of its own.
    func enter(_ line: Int?) throws(SystemError) {
        if let line {
            try MetricWindow.show(movedFrom: base(line))
        } else {
            try MetricWindow.showNothing()
        }
        for chunk in chunks { chunk.mapping.leaveInChild() }
    }

    /// In the supervisor, which counts on its own line from here on.
    func enterOwn() throws(SystemError) {
        keepWhole(false)
        defer { keepWhole(true) }
        try MetricWindow.show(file, offset: Self.own * MetricLayout.byteCount)
    }

    /// For the next process of the line: all zeroes, also where the last one has described nothing.
    func clear(_ line: Int) {
        guard line < count else { return }
        do throws(SystemError) {
            try file.zero(offset: line * MetricLayout.byteCount, byteCount: MetricLayout.byteCount)
        } catch {
            // A kernel that makes no holes: 256 pages are touched.
            guard (try? map(line)) != nil else { return }
            base(line).initializeMemory(as: UInt8.self, repeating: 0, count: MetricLayout.byteCount)
        }
    }

    /// Descriptions from an offset on, as far as they are whole.
    ///
    /// - Parameter limit: no more bytes than these.
    func descriptions(_ line: Int, from offset: Int, limit: Int) -> [UInt8] {
        let end = min(descriptionsLength(line), offset + limit)
        guard end > offset else { return [] }
        let start = base(line) + MetricLayout.descriptionsStart + offset
        return Array(UnsafeRawBufferPointer(start: start, count: end - offset))
    }

    func descriptionsLength(_ line: Int) -> Int {
        let word = (base(line) + MetricLayout.descriptionsLength).assumingMemoryBound(to: Atomic<UInt64>.self)
        return min(Int(clamping: word.pointee.load(ordering: .acquiring)), MetricLayout.descriptionsCapacity)
    }
}
