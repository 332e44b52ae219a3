// The path and the directory that this process's program was started by.

import CPrefork
import Glibc

extension ProgramImage {
    /// The path that the program was started by, made absolute and with its symbolic links: at another time they may
    /// lead to another release.
    ///
    /// argv[0] counts if it is a path, then the path that execve(2) was given, then argv[0] in PATH, each only if it
    /// leads to the file that this process runs. Otherwise it is that file's own path. Read it before titles are
    /// written.
    package static func startedBy() throws(SystemError) -> String {
        let name = arguments.first ?? ""
        let executed = cprefork_executed_path().map { String(cString: $0) } ?? ""
        let isPath = name.utf8.contains(UInt8(ascii: "/"))
        let candidates = isPath ? [name, executed] : [executed] + directoriesOfPATH.map { "\($0)/\(name)" }
        for candidate in candidates {
            if let path = absolutePath(candidate, in: startDirectory), leadsHere(path) { return path }
        }
        return try path()
    }

    /// The directory that the program was started in, by the name that PWD gave it, if it did. Empty where it is not
    /// known.
    package static var startDirectory: String { String(cString: cprefork_start_directory()) }

    /// - Returns: nil for a path that is meaningless to another process or at another time: an empty one, or one of a
    ///   descriptor, as systemd and fexecve(3) give it.
    static func absolutePath(_ path: String, in directory: String) -> String? {
        let isAbsolute = path.hasPrefix("/")
        if path.isEmpty || path.hasPrefix("/dev/fd/") || path.hasPrefix("/proc/") { return nil }
        if !isAbsolute, !directory.hasPrefix("/") { return nil }
        var relative = path[...]
        while relative.hasPrefix("./") { relative = relative.dropFirst(2) }
        if isAbsolute { return path }
        return directory == "/" ? "/\(relative)" : "\(directory)/\(relative)"
    }

    private static var directoriesOfPATH: [String] {
        let list = CurrentProcess.environment("PATH") ?? "/usr/local/bin:/bin:/usr/bin"
        // An empty one is the working directory.
        return list.split(separator: ":", omittingEmptySubsequences: false).map { $0.isEmpty ? "." : String($0) }
    }

    private static func leadsHere(_ path: String) -> Bool {
        var (there, here) = (stat(), stat())
        return stat(path, &there) == 0 && stat("/proc/self/exe", &here) == 0 && there.st_dev == here.st_dev
            && there.st_ino == here.st_ino
    }
}

/// The directory that this process works in, to go back to.
package struct WorkingDirectory: ~Copyable {
    /// Below zero: it cannot be opened.
    private let number: Int32

    /// Remembers the present one.
    package init() {
        number = cprefork_open_directory(".")
    }

    deinit {
        if number >= 0 { closeDescriptor(number) }
    }

    package func restore() {
        if number >= 0 { _ = fchdir(number) }
    }

    /// - Throws: why this process stays where it is.
    package static func change(to path: String) throws(SystemError) {
        try systemCall("chdir", on: path) { chdir(path) }
    }
}
