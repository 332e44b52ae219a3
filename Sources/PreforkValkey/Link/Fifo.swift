// Commands leave in the order in which they came.

#if Valkey
    /// A queue in an array: taken from the front by moving a mark, which an array alone cannot do cheaply.
    package struct Fifo<Element> {
        private var storage: [Element?] = []
        private var head = 0

        package init() {}

        package var count: Int { storage.count - head }
        package var isEmpty: Bool { count == 0 }
        package var first: Element? { isEmpty ? nil : storage[head] }

        package mutating func append(_ element: Element) {
            storage.append(element)
        }

        package mutating func popFirst() -> Element? {
            guard !isEmpty else { return nil }
            defer {
                storage[head] = nil
                head += 1
                if head == storage.count {
                    storage.removeAll(keepingCapacity: storage.count <= 4_096)
                    head = 0
                } else if head >= 1_024, head * 2 >= storage.count {
                    storage.removeFirst(head)
                    head = 0
                }
            }
            return storage[head]
        }

        /// The elements in order, and an empty queue.
        package mutating func takeAll() -> [Element] {
            defer {
                storage = []
                head = 0
            }
            return storage[head...].compactMap { $0 }
        }

        /// The first element, from the front, that is so.
        package func first(where isWanted: (Element) -> Bool) -> Element? {
            for case let element? in storage[head...] where isWanted(element) { return element }
            return nil
        }
    }
#endif
