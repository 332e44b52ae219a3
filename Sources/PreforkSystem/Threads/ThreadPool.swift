// Threads that run closures in order, started when they are needed and ended when they are not.

import CPrefork
import Glibc

/// A bounded number of threads and a bounded queue before them.
///
/// A thread is started when a job comes and no thread waits for one. A thread that has waited for `idle` ends. Every
/// signal but those of a crash is blocked in them. A pool belongs to the process that has made it. It is never freed,
/// because its threads may outlive any owner.
package final class ThreadPool: @unchecked Sendable {
    // Sendable: `state` is touched only while `mutex` is locked. The rest never changes.

    /// What a pool has at this moment.
    package struct Load: Equatable, Sendable {
        package var threads = 0
        /// Threads that run a job.
        package var busy = 0
        /// Jobs that wait for a thread.
        package var queued = 0

        package init(threads: Int = 0, busy: Int = 0, queued: Int = 0) {
            self.threads = threads
            self.busy = busy
            self.queued = queued
        }
    }

    /// Why a job was not taken.
    package enum Refusal: Error {
        case full
        /// There is no thread, and the kernel gives none.
        case noThread(SystemError)
    }

    /// A closure for a thread, and what its owner is told when the process does not wait for it any more.
    package struct Job: Sendable {
        let run: @Sendable () -> Void
        let abandon: @Sendable () -> Void

        package init(run: @escaping @Sendable () -> Void, abandon: @escaping @Sendable () -> Void) {
            self.run = run
            self.abandon = abandon
        }
    }

    private struct State {
        var lastTicket: UInt64 = 0
        /// Tickets in order, withdrawn ones among them.
        var order: [UInt64] = []
        var queued: [UInt64: Job] = [:]
        var running: [UInt64: Job] = [:]
        /// The numbers of the threads that live.
        var numbers: Set<Int> = []

        var load: Load { Load(threads: numbers.count, busy: running.count, queued: queued.count) }

        mutating func add(_ job: Job) -> UInt64 {
            lastTicket += 1
            // Those that were withdrawn while every thread was busy.
            if order.count > 2 * queued.count + 64 { order.removeAll { queued[$0] == nil } }
            order.append(lastTicket)
            queued[lastTicket] = job
            return lastTicket
        }

        mutating func begin() -> (UInt64, Job)? {
            var taken = 0
            defer { order.removeFirst(taken) }
            for ticket in order {
                taken += 1
                guard let job = queued.removeValue(forKey: ticket) else { continue }
                running[ticket] = job
                return (ticket, job)
            }
            return nil
        }
    }

    private let threadLimit: Int
    package let queueLimit: Int
    private let idle: Duration
    private let name: String
    private let onChange: @Sendable (Load) -> Void
    private var state = State()
    /// Proof: made by `init` and never freed, as the pool. Used by no other process: see `init`.
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>

    /// - Parameters:
    ///   - threads: the most threads, above zero.
    ///   - queue: the most jobs that wait for one, zero or more.
    ///   - idle: how long a thread waits for a job.
    ///   - name: of the threads, which get a number behind it. At most ten bytes.
    ///   - onChange: called on any thread with each change, one call at a time. It must be quick and call nothing here.
    package init(
        threads: Int, queue: Int, idle: Duration, name: String, onChange: @escaping @Sendable (Load) -> Void
    ) {
        threadLimit = threads
        // A sum with the number of threads must not overflow.
        queueLimit = min(queue, Int.max / 2)
        self.idle = idle
        self.name = name
        self.onChange = onChange
        mutex = .allocate(capacity: 1)
        condition = .allocate(capacity: 1)
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
        _ = Unmanaged.passRetained(self)
    }

    /// What the pool has now.
    package var load: Load { withLock { $0.load } }

    /// Has a thread run the job as soon as one is free.
    ///
    /// - Returns: names the job, for `withdraw`.
    package func submit(_ job: Job) throws(Refusal) -> UInt64 {
        let result = withLock { state -> Result<UInt64, Refusal> in
            let free = state.numbers.count - state.running.count
            let mustStart = free <= state.queued.count && state.numbers.count < threadLimit
            // A job for which a thread is free does not stand in the queue.
            let room = queueLimit + free + (mustStart ? 1 : 0)
            guard state.queued.count < room else { return .failure(.full) }
            let ticket = state.add(job)
            if mustStart, let error = start(&state), state.numbers.isEmpty {
                state.queued[ticket] = nil
                return .failure(.noThread(error))
            }
            onChange(state.load)
            pthread_cond_signal(condition)
            return .success(ticket)
        }
        return try result.get()
    }

    /// Takes a job out of the queue.
    ///
    /// - Returns: false if it runs or is done.
    package func withdraw(_ ticket: UInt64) -> Bool {
        withLock { state in
            // Freed behind the lock's end: a closure's last reference can run any code.
            let job = state.queued.removeValue(forKey: ticket)
            if job != nil { onChange(state.load) }
            return job
        } != nil
    }

    /// Takes all jobs out of the queue and waits for no job that runs.
    package func abandonAll() {
        let jobs = withLock { state -> [Job] in
            defer {
                state.queued = [:]
                onChange(state.load)
            }
            return Array(state.queued.values) + Array(state.running.values)
        }
        for job in jobs { job.abandon() }
    }

    /// Not for waiting at the condition, where other threads change the state.
    private func withLock<Value>(_ body: (inout State) -> Value) -> Value {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return body(&state)
    }

    /// - Returns: why there is no further thread.
    private func start(_ state: inout State) -> SystemError? {
        var number = 1
        while state.numbers.contains(number) { number += 1 }
        do throws(SystemError) {
            try startThread { [self, number] in run(number) }
        } catch {
            return error
        }
        state.numbers.insert(number)
        return nil
    }

    private func run(_ number: Int) {
        SignalMask.unblockCrashes()
        _ = cprefork_set_thread_name("\(name)-\(number)")
        while runNext(number) {}
    }

    /// A function, so that nothing of a job is kept while the thread waits for another one.
    ///
    /// - Returns: false when the thread must end. It counts no more then.
    private func runNext(_ number: Int) -> Bool {
        guard let (ticket, job) = nextJob(number) else { return false }
        job.run()
        withLock { state in
            // Not the last reference, whose end could run any code.
            state.running[ticket] = nil
            onChange(state.load)
        }
        return true
    }

    private func nextJob(_ number: Int) -> (UInt64, Job)? {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        let deadline = MonotonicInstant.now + idle
        while true {
            if let next = state.begin() {
                onChange(state.load)
                return next
            }
            if cprefork_wait_condition(condition, mutex, deadline.nanoseconds) == ETIMEDOUT, state.queued.isEmpty {
                state.numbers.remove(number)
                onChange(state.load)
                return nil
            }
        }
    }
}
