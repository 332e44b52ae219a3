// Commands that wait too long.

#if Valkey
    import PreforkEventLoop
    import PreforkSystem

    extension Link {
        /// One timer for all: it goes to the next deadline when it fires, not with every command.
        func armTimer() {
            guard timer == nil else { return }
            let next = [waiting, inFlight].compactMap { $0.first { !$0.isFinished }?.deadline }.min()
            guard let next, next < .distantFuture else { return }
            timer = loop.call(after: next - .now) { [weak self] in
                guard let self else { return }
                timer = nil
                expire(at: .now)
                armTimer()
            }
        }

        func expire(at now: MonotonicInstant) {
            while let pending = waiting.first, pending.isFinished || pending.deadline <= now {
                _ = waiting.popFirst()
                pending.finish(.failure(whyWaitingFailed))
            }
            var isSilent = false
            _ = inFlight.first { pending in
                guard pending.deadline <= now else { return true }
                isSilent = isSilent || pending.sentAt > lastReceived
                pending.finish(.failure(ValkeyError(.timedOut, on: settings.address.description)))
                return false
            }
            // Not a word since it was sent: the machine or the way to it is gone, which TCP would take minutes to see.
            if isSilent, case .ready(let wire) = state { lose(wire, ValkeyError(.timedOut)) }
        }

        var whyWaitingFailed: ValkeyError {
            let object = settings.address.description
            guard let lastFailure else { return ValkeyError(.timedOut, on: object) }
            return ValkeyError(lastFailure.code == .connectionLost ? .timedOut : lastFailure.code, on: object)
        }
    }
#endif
