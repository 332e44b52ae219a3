// The addresses at which this process counts.

import CPrefork
import Glibc

/// One process's metrics at an address that never changes: counters that were made before a fork are at the same place
/// in the child.
///
/// At first the memory is the process's own. In a forked child the supervisor's file of lines takes its place, at the
/// same addresses (mremap(2)). A child has nothing else of that file mapped, and no descriptor of it. A process that runs
/// foreign code can extend the mapping by mremap(2) to the lines behind its own, since all lie in one file. A file for
/// each would cost the supervisor a descriptor for each child.
package enum MetricWindow {
    /// If nil, the kernel has no addresses left.
    ///
    /// Proof of `nonisolated(unsafe)`: an address that never changes, of words that are only used as atomic ones.
    nonisolated(unsafe) package static let base: UnsafeMutableRawPointer? = {
        let memory = cprefork_private_memory(MetricLayout.byteCount)
        return memory == MAP_FAILED ? nil : memory
    }()

    /// Has the window show a line of a file that is mapped at `line`, and nothing there any more.
    ///
    /// - Parameter line: `MetricLayout.byteCount` bytes of a shared mapping, aligned to a page.
    package static func show(movedFrom line: UnsafeMutableRawPointer) throws(SystemError) {
        guard let base else { throw SystemError("mmap", .noMemory, on: "metrics") }
        try systemCall("mremap", on: "metrics") { cprefork_move_mapping(line, MetricLayout.byteCount, base) }
    }

    /// Has the window show memory of this process alone again.
    package static func showNothing() throws(SystemError) {
        let memory = cprefork_private_memory(MetricLayout.byteCount)
        guard memory != MAP_FAILED else { throw SystemError("mmap", .current, on: "metrics") }
        try show(movedFrom: memory)
    }

    /// Has the window show a line of a file, with what was counted before. For the supervisor itself.
    ///
    /// - Parameters:
    ///   - file: no process is kept from mapping it now (`MemoryFile.keepWhole`).
    ///   - offset: where the line begins. It is all zeroes.
    package static func show(_ file: borrowing MemoryFile, offset: Int) throws(SystemError) {
        guard let base else { throw SystemError("mmap", .noMemory, on: "metrics") }
        let line = try SharedMapping(file, offset: offset, byteCount: MetricLayout.byteCount)
        // Only words in use: a copy of everything would touch each page.
        line.base.copyMemory(from: base, byteCount: MetricRegistry.usedBytes)
        let copy = try SharedMapping(file, offset: offset, byteCount: MetricLayout.byteCount)
        try show(movedFrom: copy.base)
        copy.forget()
    }
}
