// The ways to receive.

import Prefork

/// One message, by one of the ways there are.
func receive<Message>(_ queue: WorkQueue<Message>, _ way: String) throws -> Delivery<Message> {
    switch way {
    case "async": try EventLoop().run { try await queue.receive() }
    default: try queue.receiveBlocking()
    }
}
