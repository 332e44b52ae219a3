// Messages for one subscriber that have not been read yet.

#if Valkey
    package import PreforkChannels
    package import PreforkStore

    /// The last so many messages, and how many before them were dropped.
    package struct EventBuffer {
        private enum Entry {
            case message(StoredValue)
            /// The connection was lost and made again here.
            case gap
        }

        private let limit: Int
        private var entries = Fifo<Entry>()
        private var messages = 0
        /// Dropped before `entries`, and not reported yet.
        private var dropped = 0
        /// A gap was among what was dropped.
        private var hasDroppedGap = false
        private var endsWithGap = false

        /// - Parameter limit: in messages. At least one is kept.
        package init(limit: Int) {
            self.limit = max(1, limit)
        }

        package mutating func append(_ message: StoredValue) {
            entries.append(.message(message))
            endsWithGap = false
            messages += 1
            while messages > limit, let oldest = entries.popFirst() {
                switch oldest {
                case .gap: hasDroppedGap = true
                case .message:
                    messages -= 1
                    dropped += 1
                }
            }
        }

        /// From here on, an unknown number of messages may be missing.
        package mutating func appendGap() {
            if endsWithGap { return }
            entries.append(.gap)
            endsWithGap = true
        }

        package mutating func next() -> PublishedEvent? {
            if dropped > 0 {
                defer { dropped = 0 }
                return .lagged(dropped)
            }
            if hasDroppedGap {
                hasDroppedGap = false
                return .lagged(nil)
            }
            switch entries.popFirst() {
            case nil: return nil
            case .gap?:
                if entries.isEmpty { endsWithGap = false }
                return .lagged(nil)
            case .message(let message)?:
                messages -= 1
                return .message(message)
            }
        }
    }
#endif
