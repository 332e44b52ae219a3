// Developer mode: sources change, a build runs, the supervisor becomes the new program.

import PreforkSupervisor
import PreforkSystem

/// Watches sources, builds when they have changed, and upgrades a running supervisor when the build has succeeded.
///
/// A tool's loop, not the supervisor's: it waits for a build and for an upgrade. SIGINT, SIGTERM and SIGHUP end it as
/// they end any program, and a build that runs with it.
struct SourceWatch {
    var roots = ["."]
    var filter = SourceFilter()
    /// For /bin/sh.
    var build = "swift build"

    init() {}

    private static let endings: [Signal] = [.interrupt, .terminate, .hangUp]

    /// Does not return.
    ///
    /// - Parameters:
    ///   - socket: the supervisor's control socket.
    ///   - say: takes a line on what happens.
    /// - Throws: when the sources cannot be watched or no supervisor answers at the beginning. Later failures are
    ///   reported, and the next change is waited for.
    func run(_ socket: String, _ say: (String) -> Void) throws -> Never {
        _ = try ControlClient(socket).ask(.order("status"))
        let tree = try SourceTree(roots, filter: filter)
        // Never read from: what comes stays pending, and has its usual effect as soon as the mask is restored.
        let signals = try SignalDescriptor(SignalSet(Self.endings))
        var plan = ChangePlan()
        var changed: Set<String> = []
        say("watching \(tree.directories.count) directories: each change runs '\(build)'")
        while true {
            switch plan.step(at: .now) {
            case .wait(let deadline):
                _ = try Polling.waitUntilReadable([tree.descriptor], until: deadline)
                note(Self.changes(of: tree, say), in: &plan, &changed)
            case .build:
                // A file's name may have been chosen by an attacker.
                let first = ForeignText(changed.min() ?? "").escaped(for: .terminal)
                say("changed: \(first)\(changed.count > 1 ? " and \(changed.count - 1) more" : "")")
                changed = []
                let mask = SignalMask.block(SignalSet(Self.endings))
                let succeeded =
                    Self.tell(say) { try runBuild(tree, signals.descriptor.number, &plan, &changed, say) } ?? false
                SignalMask.restore(mask)
                switch plan.endBuild(succeeded: succeeded) {
                case .upgrade: upgrade(socket, say)
                case .buildAgain: say("sources have changed in the meantime")
                case .keepOld: say("the old program keeps serving")
                }
            }
        }
    }

    private func note(_ changes: [String], in plan: inout ChangePlan, _ changed: inout Set<String>) {
        if changes.isEmpty { return }
        changed.formUnion(changes)
        plan.noteChange(at: .now)
    }

    /// In its own process group, so that ending it leaves nothing behind.
    private func runBuild(
        _ tree: SourceTree, _ signals: Int32, _ plan: inout ChangePlan, _ changed: inout Set<String>,
        _ say: (String) -> Void
    ) throws -> Bool {
        let start = MonotonicInstant.now
        var spawn = SpawnPlan(
            programs: [Array("/bin/sh".utf8)], arguments: ["sh", "-c", build].map { Array($0.utf8) })
        spawn.descriptors = [(0, .nullDevice), (1, .inherited(1)), (2, .inherited(2))]
        spawn.group = .new
        spawn.parentDeathSignal = .terminate
        let child = try spawnProcess(spawn, engine: SpawnEngine()).child
        do {
            return try watch(child, since: start, tree, signals, &plan, &changed, say)
        } catch {
            // The next build must not run beside this one.
            Self.end(child)
            throw error
        }
    }

    private func watch(
        _ child: ChildProcess, since start: MonotonicInstant, _ tree: SourceTree, _ signals: Int32,
        _ plan: inout ChangePlan, _ changed: inout Set<String>, _ say: (String) -> Void
    ) throws -> Bool {
        while true {
            // Where there is no pidfd, a look from time to time.
            let deadline: MonotonicInstant? = child.pidfdNumber == nil ? .now + .milliseconds(100) : nil
            _ = try Polling.waitUntilReadable([child.pidfdNumber ?? -1, tree.descriptor, signals], until: deadline)
            note(Self.changes(of: tree, say), in: &plan, &changed)
            if try Polling.waitUntilReadable([signals], until: .now) {
                try child.sendToGroup(.terminate, isReaped: false)
                return false
            }
            guard let exit = try child.reap() else { continue }
            let time = (MonotonicInstant.now - start).short
            say(exit.status.isSuccess ? "built in \(time)" : "the build \(exit.status), after \(time)")
            return exit.status.isSuccess
        }
    }

    /// Ends the whole group. The process itself is collected.
    private static func end(_ child: ChildProcess) {
        for (signal, time) in [(Signal.terminate, Duration.seconds(5)), (.kill, .seconds(1))] {
            _ = try? child.sendToGroup(signal, isReaped: false)
            let end = MonotonicInstant.now + time
            repeat {
                if child.reapOrLose() != nil { return }
                // By turns: what made this necessary may be that nothing can be waited for.
                _ = try? Polling.waitUntilReadable([], until: .now + .milliseconds(20))
            } while MonotonicInstant.now < end
        }
    }

    /// A directory that could not be watched is reported. The rest is still watched.
    private static func changes(of tree: SourceTree, _ say: (String) -> Void) -> [String] {
        if let changes = tell(say, { try tree.changes() }) { return changes }
        // The same failure again at once must not become a loop.
        _ = try? Polling.waitUntilReadable([], until: .now + .milliseconds(100))
        return (try? tree.changes()) ?? []
    }

    private func upgrade(_ socket: String, _ say: (String) -> Void) {
        do {
            say(try ControlClient.upgrade(socket, to: nil).escaped(for: .terminal))
        } catch {
            say("not upgraded: \(error)")
        }
    }

    private static func tell<Result>(_ say: (String) -> Void, _ body: () throws -> Result) -> Result? {
        do {
            return try body()
        } catch {
            say("\(error)")
            return nil
        }
    }
}

extension SourceWatch {
    /// `[--path DIR ...] [--suffix .html ...] [--build COMMAND]`
    init(_ words: inout ArgumentScanner) throws(ToolUsageError) {
        self.init()
        let roots = try words.values("--path")
        if !roots.isEmpty { self.roots = roots }
        let endings = try words.values("--suffix")
        if !endings.isEmpty { filter.endings = endings }
        if let build = try words.value("--build") { self.build = build }
    }
}
