// SIGTERM and SIGINT for the trees of a plain program: one that is neither a worker nor a managed process on a loop.

import PreforkEventLoop
import PreforkServices
import PreforkSystem
import Synchronization

/// The signals that end a program's trees, and what waits in it for messages. It takes them while a tree runs, and
/// gives them back afterwards.
///
/// The first tree of tasks starts the thread of the shared event loop, which reads them: such a program forks no
/// workers. Trees of blocking services start no thread: `BlockingSignals`.
final class ProgramSignals: StopSource {
    private struct State {
        var process = ForkCount.current
        /// Made at first use, then kept.
        var reader: Reader?
        /// A parent's. Never released: in this process its descriptor's number may be another object's.
        var inherited: Reader?
        /// Whether the loop reads it, or is about to.
        var isRead = false
        var users = 0
        /// The trees of blocking services among `users`.
        var blocking = 0
        var plan = SignalPlan()
        var scopes: [Int: any RunningScope] = [:]
        var wishes = StopWishes(clock: SystemServiceClock())

        /// Says what is done about signals, now that users have come or gone.
        func listen() {
            if users == 0 { reader?.signals.stopListening() } else { reader?.signals.listen(unread: users == blocking) }
        }
    }

    /// The shared loop's ear.
    private final class Reader: @unchecked Sendable {
        // Sendable: never changed. The watch is used on the loop only.
        let signals: StopSignals
        let watch: Watch

        init() throws(SystemError) {
            let signals = try StopSignals()
            self.signals = signals
            watch = Watch(signals.bell.descriptor.number) { _ in deliver(signals) }
        }
    }

    private static let shared = Mutex(State())

    private static func withState<Result: Sendable>(_ body: (inout State) -> Result) -> Result {
        shared.withLock { state in
            if state.process != ForkCount.current {
                let inherited = state.reader ?? state.inherited
                state = State()
                state.inherited = inherited
            }
            return body(&state)
        }
    }

    var deadline: Duration? { Self.withState { $0.wishes }.deadline }

    func observe(_ stop: @escaping @Sendable (StopReason) -> Void) -> @Sendable () -> Void {
        do {
            try Self.begin()
        } catch {
            // Without a descriptor or a thread signals end the program at once, as if this had not been tried.
            reportFailure(of: "listening to SIGTERM and SIGINT", error)
            return {}
        }
        let end = Self.withState { $0.wishes }.observe(stop)
        return {
            end()
            Self.finish(isBlocking: false)
        }
    }

    private static func begin() throws(SystemError) {
        let loop = try EventLoop.shared
        try makeReader()
        let unread = withState { state -> Reader? in
            defer { state.isRead = true }
            state.users += 1
            state.listen()
            return state.isRead ? nil : state.reader
        }
        guard let unread else { return }
        // Not under the lock: on the loop's own thread this is done at once.
        loop.execute {
            do { try loop.add(unread.watch, for: .readable) } catch { lose(unread, error) }
        }
    }

    private static func makeReader() throws(SystemError) {
        if withState({ $0.reader != nil }) { return }
        let new = try Reader()
        withState { if $0.reader == nil { $0.reader = new } }
    }

    /// No code would take the signals: they must end the program again. The next tree tries once more.
    private static func lose(_ reader: Reader, _ error: any Error) {
        withState { state in
            state.isRead = false
            reader.signals.stopListening()
        }
        reportFailure(of: "listening to SIGTERM and SIGINT", error)
        deliver(reader.signals)
    }

    private static func finish(isBlocking: Bool) {
        let lastWord = withState { state -> Signal?? in
            state.users -= 1
            if isBlocking { state.blocking -= 1 }
            state.listen()
            guard state.users == 0 else { return nil }
            defer { state.plan = SignalPlan() }
            // What ended these trees is nothing to those that come.
            state.wishes = StopWishes(clock: SystemServiceClock())
            return .some(state.plan.lastWord)
        }
        guard let lastWord else { return }
        ProcessStop.readSignals(by: nil)
        ProcessStop.reset()
        if let lastWord { StopSignals.end(by: lastWord) }
    }

    /// From the loop, or from a thread that looks.
    private static func deliver(_ signals: StopSignals) {
        let (signal, count) = signals.take()
        for _ in 0..<count { deliver(signal) }
    }

    private static func deliver(_ signal: Signal) {
        let (wishes, scopes) = withState { ($0.wishes, $0.scopes) }
        // Before the trees learn of it.
        let isHeard = ProcessStop.isHeard
        let deaf = scopes.filter { !isHeard && !$0.value.isWaitedFor }
        let step = withState { $0.plan.signal(signal, running: Set(scopes.keys), deaf: Set(deaf.keys)) }
        switch step {
        case .ask(let cancelled):
            wishes.wish(.signal(signal.rawValue))
            ProcessStop.request()
            for id in cancelled { scopes[id]?.cancel() }
        case .cancel(let cancelled): for id in cancelled { scopes[id]?.cancel() }
        case .hurry: wishes.wish(.signal(signal.rawValue), within: .zero)
        }
    }

    /// The bodies of `withRunning`.
    static func watch(_ scope: any RunningScope) -> @Sendable (Bool) -> Void {
        let id = withState { state in
            let id = state.plan.newScope()
            state.scopes[id] = scope
            return id
        }
        return { thrown in
            withState { state in
                state.scopes[id] = nil
                state.plan.ended(id, thrown: thrown)
            }
        }
    }
}

extension ProgramSignals {
    /// The same for trees of blocking services, on their own threads.
    struct BlockingSignals: BlockingStops {
        func begin() {
            // In a worker or a managed process on a loop, signals are the runtime's.
            if ServiceHost.isInstalled { return }
            do {
                try makeReader()
            } catch {
                return reportFailure(of: "listening to SIGTERM and SIGINT", error)
            }
            withState { state in
                state.users += 1
                state.blocking += 1
                state.listen()
            }
            ProcessStop.readSignals(by: Self.read)
        }

        func end() {
            // One that has not begun has nothing to end.
            if !ServiceHost.isInstalled, withState({ $0.blocking > 0 }) { finish(isBlocking: true) }
        }

        @Sendable private static func read() {
            if let signals = withState({ $0.reader?.signals }) { deliver(signals) }
        }

        func wait() -> StopReason {
            // The program's code decides which thread calls, not its input. The loop would never turn again.
            precondition(EventLoop.current == nil, "waiting for a stop on the thread of the event loop that hears it")
            let own = try? StopBell()
            let observation = StopObservation { own?.ring() }
            defer { withExtendedLifetime(observation) {} }
            while true {
                Self.read()
                if ProcessStop.isRequested { return withState { $0.wishes }.reason ?? .requested }
                let bells = [own?.number, withState { $0.reader?.signals.number }]
                // Without a descriptor, and where another thread has taken the ring, it checks again by itself.
                _ = try? Polling.waitUntilReadable(bells.map { $0 ?? -1 }, until: .now + Bell.longestSleep)
            }
        }

        private final class StopBell: Sendable {
            private let bell: Bell
            var number: Int32 { bell.descriptor.number }

            init() throws(SystemError) { bell = try Bell() }

            func ring() { bell.ring() }
        }
    }
}

/// Called before main: a program that has Prefork needs no call to make its trees receive signals.
@_cdecl("cprefork_program_starts")
func programStarts() {
    ServiceHost.provide {
        var host = ServiceHost(stopSource: ProgramSignals())
        host.scopeWatcher = ProgramSignals.watch
        return host
    }
    ServiceHost.blockingStops = ProgramSignals.BlockingSignals()
}
