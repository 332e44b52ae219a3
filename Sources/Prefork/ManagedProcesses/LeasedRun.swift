// Runs of once-tasks that need a lease: the process of the run takes it, keeps it and gives it back. The supervisor
// never speaks to the server.

#if Valkey
    import PreforkEventLoop
    import PreforkSupervisor
    import PreforkSystem
    import PreforkValkey

    /// How the runs of one task get their lease.
    struct LeasedRun: Sendable {
        let lease: ValkeyLease
        /// This service: see `ServiceName`.
        let owner: String
        /// The process ends with the run.
        let isOwnProcess: Bool

        /// Runs the body while the lease is held.
        ///
        /// - Throws: `OnceRefusal` without a lease, `LeaseLost`, what the body throws, `CancellationError`.
        func perform(_ run: OnceRun, _ body: @escaping @Sendable (OnceRun) async throws -> Void) async throws {
            let held = try await take(run)
            var leased = run
            leased.fencingToken = held.token
            do {
                try await withThrowingTaskGroup(of: Void.self) { [leased] group in
                    group.addTask { try await body(leased) }
                    group.addTask { try await keep(held, for: leased) }
                    // The second one ends by an error only.
                    _ = try await group.next()
                    group.cancelAll()
                }
            } catch {
                await release(held)
                throw error
            }
            await release(held)
        }

        private func take(_ run: OnceRun) async throws -> ValkeyLease.Held {
            let due = run.dueNumber == 0 ? nil : run.dueTime.saturatedNanoseconds / 1_000_000
            do {
                if let held = try await lease.take(run.name, due: due, owner: owner) { return held }
            } catch let error as CancellationError {
                throw error
            } catch {
                reportFailure(of: run.name, NoLease(reason: error))
                throw OnceRefusal(code: OnceLeaseCode.noLease)
            }
            throw OnceRefusal(code: OnceLeaseCode.elsewhere)
        }

        /// Renews the lease until the task is cancelled.
        ///
        /// - Throws: `LeaseLost` when it is gone, or when a third of its life is left and the server does not answer.
        private func keep(_ first: ValkeyLease.Held, for run: OnceRun) async throws {
            var held = first
            var pause = lease.duration / 3
            while true {
                try await EventLoop.sleep(for: pause)
                do {
                    guard let renewed = try await lease.renew(held) else { break }
                    held = renewed
                    pause = lease.duration / 3
                } catch let error as CancellationError {
                    throw error
                } catch {
                    if MonotonicInstant.now + lease.duration / 3 >= held.validUntil { break }
                    pause = lease.duration / 12
                }
            }
            endProcess(after: held.validUntil - .now, run)
            throw LeaseLost()
        }

        /// A body that does not hear its cancellation must not outlive the lease.
        private func endProcess(after rest: Duration, _ run: OnceRun) {
            guard isOwnProcess else { return }
            run.loop.execute { [loop = run.loop, name = run.name] in
                loop.call(after: rest) {
                    reportFailure(of: name, LeaseLost())
                    exitChild(code: 1)
                }
            }
        }

        /// Also in a task that was cancelled.
        private func release(_ held: ValkeyLease.Held) async {
            // The server forgets it by itself if this fails.
            await Task { [lease] in try? await lease.release(held) }.value
        }
    }

    /// A run has lost its lease: the server gave it to another machine, has forgotten it, or does not answer.
    private struct LeaseLost: Error, CustomStringConvertible {
        var description: String { "the lease was lost" }
    }

    private struct NoLease: Error, CustomStringConvertible {
        let reason: any Error
        var description: String { "no lease: \(reason)" }
    }

    /// What tells a service from all others, and stays the same when it is upgraded.
    enum ServiceName {
        /// Of the calling process, as a supervisor: an upgrade keeps its process ID and its time of start (execve(2)),
        /// of which there is one until the machine starts again. Two containers on one machine have different host
        /// names or process IDs.
        static var current: String {
            let process = ProcessIdentity.current
            let words = ["random/boot_id", "hostname"].map { name in
                let text = (try? SmallFile.read("/proc/sys/kernel/\(name)", limit: 256)) ?? ""
                return text.split(separator: "\n").first.map(String.init) ?? "-"
            }
            return "\(words[0]) \(words[1]) \(process.pid) \(process.startTime)"
        }
    }
#endif
