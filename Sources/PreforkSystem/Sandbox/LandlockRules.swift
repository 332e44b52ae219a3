// landlock(7): which rights a kernel can restrict, and which of them a rule gives.

import CPrefork
import Glibc

/// The rights of a sandbox in the words of one version of Landlock. Pure.
struct LandlockRules: Equatable, Sendable {
    /// LANDLOCK_ACCESS_FS_... of linux/landlock.h.
    enum File {
        static let execute: UInt64 = 1 << 0
        static let readFile: UInt64 = 1 << 2
        static let truncate: UInt64 = 1 << 14
        static let control: UInt64 = 1 << 15
        /// READ_FILE and READ_DIR.
        static let reading: UInt64 = 1 << 2 | 1 << 3
        /// WRITE_FILE, REMOVE_..., MAKE_..., REFER, TRUNCATE, IOCTL_DEV, but no device nodes.
        static let writing: UInt64 = 0b1111_0111_1011_0010
        /// What a rule for a file may have. For other rights than these the kernel takes directories only.
        static let ofFiles: UInt64 = 1 << 0 | 1 << 1 | 1 << 2 | truncate | control
    }

    /// LANDLOCK_ACCESS_NET_... and LANDLOCK_SCOPE_...
    enum Port {
        static let bind: UInt64 = 1
        static let connect: UInt64 = 2
    }

    /// What is refused unless a rule allows it.
    var files: UInt64 = 0
    var ports: UInt64 = 0
    var scopes: UInt64 = 0
    /// What the sandbox asks for and this version lacks.
    var lacking: [String] = []

    /// - Parameter version: of `landlock_create_ruleset`, 0 without Landlock.
    init(_ sandbox: Sandbox, version: Int) {
        let hasPorts = sandbox.bindPorts != nil || sandbox.connectPorts != nil
        guard version > 0 else {
            if sandbox.files != nil { lacking.append("files need Landlock (Linux 5.13, CONFIG_SECURITY_LANDLOCK)") }
            if hasPorts { lacking.append("ports need Landlock (Linux 6.7)") }
            if sandbox.isScoped { lacking.append("signals stay unrestricted without Landlock (Linux 6.12)") }
            return
        }
        if sandbox.files != nil { restrictFiles(version) }
        if hasPorts, version < 4 {
            lacking.append("ports need Landlock 4 (Linux 6.7), here is \(version)")
        } else {
            if sandbox.bindPorts != nil { ports |= Port.bind }
            if sandbox.connectPorts != nil { ports |= Port.connect }
        }
        if sandbox.isScoped, version < 6 {
            lacking.append("signals need Landlock 6 (Linux 6.12), here is \(version)")
        } else if sandbox.isScoped {
            scopes = 0b11
        }
    }

    private mutating func restrictFiles(_ version: Int) {
        files = 0x1FFF
        if version >= 2 { files |= 1 << 13 }
        if version >= 3 { files |= File.truncate } else { lacking.append("truncate(2) needs Landlock 3 (Linux 6.2)") }
        if version >= 5 {
            files |= File.control
        } else {
            lacking.append("ioctl(2) of devices needs Landlock 5 (Linux 6.10)")
        }
    }

    var isEmpty: Bool { files == 0 && ports == 0 && scopes == 0 }

    /// What a rule gives, as far as this version knows it.
    func rights(of rule: Sandbox.FileRule, isDirectory: Bool) -> UInt64 {
        let asked =
            switch rule {
            case .read: File.reading
            case .write: File.reading | File.writing
            case .execute: File.reading | File.execute
            }
        return asked & files & (isDirectory ? .max : File.ofFiles)
    }
}

extension LandlockRules {
    /// Makes the ruleset. Paths are looked up here: in the root directory of the calling process, with its rights.
    ///
    /// - Returns: a descriptor that the caller must close. Nil where nothing is restricted.
    func ruleset(_ sandbox: Sandbox, base: [Sandbox.FileRule]) throws(SystemError) -> Int32? {
        if isEmpty { return nil }
        let number = try systemCall("landlock_create_ruleset") { cprefork_landlock_ruleset(files, ports, scopes) }
        let ruleset = Descriptor(owning: number)
        if let files = sandbox.files {
            for rule in base + files { try allow(rule, in: number) }
        }
        // A port has one rule, whose rights add up.
        for port in Set((ports & Port.bind != 0 ? sandbox.bindPorts : nil) ?? []) {
            try systemCall("landlock_add_rule", on: "bind \(port)") {
                cprefork_landlock_allow_port(number, port, Port.bind)
            }
        }
        for port in Set((ports & Port.connect != 0 ? sandbox.connectPorts : nil) ?? []) {
            try systemCall("landlock_add_rule", on: "connect \(port)") {
                cprefork_landlock_allow_port(number, port, Port.connect)
            }
        }
        return ruleset.release()
    }

    /// A file that is not there, or that the process may not reach anyway, needs no rule.
    private func allow(_ rule: Sandbox.FileRule, in ruleset: Int32) throws(SystemError) {
        var isDirectory: Int32 = 0
        let number = cprefork_open_for_rule(rule.path, &isDirectory)
        if number < 0 { return }
        let place = Descriptor(owning: number)
        let rights = rights(of: rule, isDirectory: isDirectory != 0)
        try systemCall("landlock_add_rule", on: rule.path) {
            cprefork_landlock_allow_path(ruleset, place.number, rights)
        }
    }
}
