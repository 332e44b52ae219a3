// The program that this process runs, and another one in its place (execve(2)).

import CPrefork
import Glibc

package enum ProgramImage {
    /// Read once, before titles are written where they lie.
    package static let arguments = CommandLine.arguments

    /// The path of this process's program. The file there now may be a newer one.
    package static func path() throws(SystemError) -> String {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = try systemCall("readlink", on: "/proc/self/exe") {
            buffer.withUnsafeMutableBytes { bytes in
                readlink("/proc/self/exe", bytes.baseAddress!.assumingMemoryBound(to: CChar.self), bytes.count)
            }
        }
        let path = String(decoding: buffer[..<count], as: UTF8.self)
        // The running file was replaced or removed since, and its path is what counts.
        return path.hasSuffix(" (deleted)") ? String(path.dropLast(10)) : path
    }

    /// This very program, whatever is at its path by now.
    package static func open() throws(SystemError) -> Int32 {
        try systemCall("open", on: "/proc/self/exe") { cprefork_open("/proc/self/exe", O_RDONLY | O_CLOEXEC, 0) }
    }

    package enum Source: Sendable {
        case path(String)
        case descriptor(Int32)
    }

    /// What the other program is here for.
    package enum Purpose: String, Sendable {
        case upgrade = ""
        /// It only shows that it can start.
        case trial = ":trial"
        /// It ran here before.
        case rollback = ":back"
    }

    /// Replaces this process's program by another one with the same arguments, which is left `items`.
    ///
    /// - Parameter rollback: what executes this program again if the other one ends too early.
    /// - Returns: only when it fails, with everything as it was.
    package static func execute(
        _ source: Source, leaving items: [HandoverItem], for purpose: Purpose, rollback: RollbackOffer? = nil
    ) -> SystemError {
        let file: Int32
        do throws(SystemError) {
            file = try HandoverManifest.write(items)
        } catch {
            return error
        }
        let left = items.flatMap(\.descriptors) + [file]
        let descriptors = left + (rollback?.descriptors ?? [])
        setenv(Handover.variable, "\(file):\(getpid())\(purpose.rawValue)", 1)
        if let rollback { setenv(Rollback.variable, rollback.variable(left), 1) }
        func takeBack() {
            for descriptor in descriptors { try? setCloseOnExec(descriptor) }
            closeDescriptor(file)
            unsetenv(Handover.variable)
            unsetenv(Rollback.variable)
        }
        for descriptor in descriptors {
            // The other program would take whatever it opens next under that number for what it was left.
            do throws(SystemError) {
                try systemCall("fcntl", on: "descriptor \(descriptor), which the other program is left") {
                    cprefork_fcntl(descriptor, F_SETFD, 0)
                }
            } catch {
                takeBack()
                return error
            }
        }
        var arena = CStringArena(
            tables: [arguments.count], stringBytes: arguments.reduce(0) { $0 + $1.utf8.count }, strings: arguments.count
        )
        let table = arena.table(count: arguments.count)
        for (index, argument) in arguments.enumerated() { table[index] = arena.string(Array(argument.utf8)) }
        let error: SystemError
        switch source {
        case .path(let path):
            _ = execv(path, table)
            error = SystemError("execve", .current, on: path)
        case .descriptor(let number):
            _ = fexecve(number, table, cprefork_environment())
            error = SystemError("execveat", .current, on: "the program that ran before")
        }
        takeBack()
        return error
    }

    /// The same in a new process, which gets only what it needs for a trial run.
    ///
    /// - Parameter directory: where it begins. If empty or gone, it begins in this process's directory.
    /// - Returns: the process.
    package static func tryOut(
        _ source: Source, in directory: String, leaving items: [HandoverItem], parent: Int32
    ) throws(SystemError) -> Int32 {
        let mask = SignalMask.block(.all)
        defer { SignalMask.restore(mask) }
        switch try forkProcess() {
        case .parent(let child): return child
        case .child:
            guard becomeChild(of: parent, closing: []) else { exitChild(code: 1) }
            SignalMask.restore(SignalSet([]))
            try? WorkingDirectory.change(to: directory)
            let error = execute(source, leaving: items, for: .trial)
            StandardErrorLines.say("error", "\(error)", by: "end")
            exitChild(code: 127)
        }
    }
}

extension SignalSet {
    /// The numbers of its signals.
    package var numbers: [Int32] {
        var set = set
        return (1...64).filter { sigismember(&set, $0) == 1 }
    }

    package init(numbers: [Int32]) {
        self.init(numbers.map { Signal(rawValue: $0) })
    }
}
