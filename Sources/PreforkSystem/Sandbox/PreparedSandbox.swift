// A sandbox that is ready for children: what the kernel has of it, and its filter.

import CPrefork
import Glibc

/// Made before the fork, entered by each child.
package struct PreparedSandbox: Sendable {
    package let sandbox: Sandbox
    /// What is left out here, for the log.
    package let lacking: [String]
    private let rules: LandlockRules
    private let filter: [UInt64]
    private let base: [Sandbox.FileRule]

    /// - Parameter root: the root directory that children will have, in which the sandbox's files are looked for.
    /// - Throws: `.badPath`. `.lacking`, if it is strict.
    package init(_ sandbox: Sandbox, root: String? = nil) throws(SandboxError) {
        try self.init(
            sandbox, root: root, version: Int(cprefork_landlock_version()), hasFilters: cprefork_has_seccomp_filters(),
            architecture: cprefork_call_architecture())
    }

    /// - Parameters:
    ///   - version: of Landlock. 0 without it.
    ///   - hasFilters: whether the kernel has seccomp filters.
    ///   - architecture: AUDIT_ARCH_... of this program.
    init(
        _ sandbox: Sandbox, root: String?, version: Int, hasFilters: Bool, architecture: UInt32
    ) throws(SandboxError) {
        if let path = sandbox.badPath { throw SandboxError(.badPath(path)) }
        self.sandbox = sandbox
        rules = LandlockRules(sandbox, version: version)
        var lacking = rules.lacking
        let known = [SystemCallFilter.Architecture.x86, .arm].first { $0.word == architecture }
        if sandbox.systemCalls == .all {
            filter = []
        } else if let known, hasFilters {
            filter = SystemCallFilter.instructions(sandbox.systemCalls, sandbox.refusal, for: known)
        } else {
            filter = []
            lacking.append("system calls need seccomp filters (CONFIG_SECCOMP_FILTER) on x86_64 or arm64")
        }
        for rule in sandbox.files ?? [] where access((root ?? "") + rule.path, F_OK) != 0 {
            lacking.append("\(Escaping.brief(rule.path)): \(Errno.current)")
        }
        self.lacking = lacking
        base = sandbox.files == nil ? [] : Self.base()
        if sandbox.isStrict, !lacking.isEmpty { throw SandboxError(.lacking(lacking)) }
    }

    /// The line for the log. Nil if nothing is left out.
    package var warning: String? {
        lacking.isEmpty ? nil : "the sandbox is incomplete here: \(lacking.joined(separator: ", "))"
    }

    /// What the C library, the Swift runtime and its backtraces read. The backtracer and the loader may be executed.
    private static func base() -> [Sandbox.FileRule] {
        let libraries = Set(LoadedObject.all.compactMap(\.directory))
            .union(["/lib", "/lib64", "/usr/lib", "/usr/lib64"])
        var rules = libraries.sorted().map { Sandbox.FileRule.read($0) }
        rules += [
            "/proc", "/sys/devices/system/cpu", "/sys/fs/cgroup", "/usr/share/zoneinfo", "/etc/localtime", "/etc/hosts",
            "/etc/host.conf", "/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/gai.conf", "/etc/services",
            "/etc/protocols", "/etc/passwd", "/etc/group", "/etc/ld.so.cache", "/dev/zero", "/dev/random",
            "/dev/urandom",
        ].map { .read($0) }
        rules.append(.write("/dev/null"))
        rules.append(.read("/proc/self/exe"))
        if let path = backtracer { rules.append(.execute(path)) }
        // The loader of programs, which the kernel runs with each of them.
        rules += ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"].map { .execute($0) }
        return rules
    }

    /// The program that the Swift runtime starts in a crash. An operator can name another one (SWIFT_BACKTRACE).
    private static var backtracer: String? {
        let settings = CurrentProcess.environment("SWIFT_BACKTRACE")?.split(separator: ",") ?? []
        let name = "swift-backtrace="
        if let setting = settings.first(where: { $0.hasPrefix(name) }) { return String(setting.dropFirst(name.count)) }
        guard let path = cprefork_backtracer_path() else { return nil }
        defer { free(path) }
        return String(cString: path)
    }

    /// Binds the calling thread for good. Runs in the child, while it is the only thread.
    ///
    /// - Throws: `.system`. The process must end then.
    package func enter() throws(SandboxError) {
        do throws(SystemError) {
            let ruleset = try makeRuleset()
            let outcome = withCSandbox(ruleset: ruleset) { sandbox in
                (step: cprefork_enter_sandbox(sandbox), errno: Errno.current)
            }
            if let ruleset { closeDescriptor(ruleset) }
            if let call = Self.call(ofStep: outcome.step) { throw SystemError(call, outcome.errno, on: "sandbox") }
        } catch {
            throw SandboxError(.system(error))
        }
    }

    /// The rules for this process, or for a program that it starts, as a descriptor that the caller must close. Nil
    /// where nothing is restricted by rules.
    func makeRuleset() throws(SystemError) -> Int32? { try rules.ruleset(sandbox, base: base) }

    /// The C form. The pointer is valid during the call only.
    func withCSandbox<Result>(ruleset: Int32?, _ body: (UnsafePointer<cprefork_sandbox>) -> Result) -> Result {
        filter.withUnsafeBufferPointer { filter in
            var sandbox = cprefork_sandbox(
                ruleset: ruleset ?? -1, filter: filter.baseAddress, filter_length: UInt16(clamping: filter.count))
            return withUnsafePointer(to: &sandbox, body)
        }
    }

    /// The call of a step that failed. Nil when all are done.
    private static func call(ofStep step: Int32) -> String? {
        switch UInt32(bitPattern: step) {
        case CPREFORK_SANDBOX_ENTERED.rawValue: nil
        case CPREFORK_SANDBOX_NO_NEW_PRIVILEGES.rawValue: "prctl"
        case CPREFORK_SANDBOX_RULES.rawValue: "landlock_restrict_self"
        default: "prctl"
        }
    }
}
