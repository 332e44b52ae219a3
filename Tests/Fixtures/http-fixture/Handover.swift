// WebSockets that move with what they have counted, for tests of reloads.

import Glibc
import Prefork
import PreforkEventLoop
import PreforkHTTP
import Synchronization

@Sendable func movingSocket(_ request: HTTPRequest, in worker: Worker) -> HTTPResponse? {
    var options = WebSocketOptions()
    switch request.path {
    case "/count": break
    // From the second generation on, the program has no such path.
    case "/gone": if worker.generation > 1 { return .notFound }
    // Each generation knows its own version of the state only.
    case "/versions": options.handoverVersions = UInt32(worker.generation)...UInt32(worker.generation)
    // Each generation reads the state as another type than the one before has written.
    case "/changed": if worker.generation > 1 { return socketWithAnotherState(request) }
    case "/smaller": options.maxMessageSize = worker.generation > 1 ? 10 : 1_000
    case "/echo": return echoingSocket(request)
    case "/feed": return feedingSocket(request)
    case "/events", "/events-of-one": return events(request, in: worker)
    case "/stateless": return statelessSocket(request, in: worker)
    default: return nil
    }
    return countingSocket(request, options, in: worker)
}

/// Answers each message with its number, whichever worker has counted the ones before.
private func countingSocket(_ request: HTTPRequest, _ options: WebSocketOptions, in worker: Worker) -> HTTPResponse {
    let isResumed = request.isResumed
    return .webSocket(for: request, options: options) { socket in
        var count = try socket.resumedState(as: Int.self) ?? 0
        socket.handoverState = { count }
        for try await case .text(let text) in socket {
            count += 1
            try await socket.send("\(count) \(text) \(worker.generation) \(isResumed) \(socket.isResumed)")
        }
    }
}

private func socketWithAnotherState(_ request: HTTPRequest) -> HTTPResponse {
    .webSocket(for: request) { socket in
        let names = try socket.resumedState(as: [String].self)
        try await socket.send("\(names ?? [])")
    }
}

/// Numbers without an end. From the second generation on, `/events-of-one` is not there any more.
private func events(_ request: HTTPRequest, in worker: Worker) -> HTTPResponse {
    if request.path == "/events-of-one", worker.generation > 1 { return .notFound }
    return .resumableStream { writer in
        var number = try writer.resumedState(as: Int.self) ?? 0
        writer.handoverState = { number }
        while request.query == nil || number < 300 {
            try await writer.write("\(number)\n")
            number += 1
            try await EventLoop.sleep(for: .milliseconds(1))
        }
        try await writer.write("end of generation \(worker.generation)\n")
    }
}

/// Sends back what it gets. Its state is as large as a small program's.
private func echoingSocket(_ request: HTTPRequest) -> HTTPResponse {
    .webSocket(for: request) { socket in
        var counts = try socket.resumedState(as: [Int].self) ?? [Int](repeating: 0, count: 20)
        socket.handoverState = { counts }
        for try await message in socket {
            counts[0] += 1
            try await socket.send(message)
        }
    }
}

/// Its handler needs no state.
private func statelessSocket(_ request: HTTPRequest, in worker: Worker) -> HTTPResponse {
    .webSocket(for: request) { socket in
        socket.handoverState = { nil }
        for try await message in socket { try await socket.send(message) }
        if !socket.isHandedOver { print("ended in generation \(worker.generation)") }
    }
}

/// A task sends numbers while the handler waits for messages.
private func feedingSocket(_ request: HTTPRequest) -> HTTPResponse {
    .webSocket(for: request) { socket in
        let next = Atomic(try socket.resumedState(as: Int.self) ?? 0)
        socket.handoverState = { next.load(ordering: .relaxed) }
        async let feeding: Void = {
            while true {
                try await socket.send("\(next.load(ordering: .relaxed))")
                next.add(1, ordering: .relaxed)
                try await EventLoop.sleep(for: .milliseconds(1))
            }
        }()
        for try await _ in socket {}
        try await feeding
    }
}

/// With `steps=FILE`, a worker is killed at the step of a move whose number is in the file, when it comes there as often as
/// the second number says. The file is gone then.
func dieAtSteps(_ loop: EventLoop?) {
    guard let path = values("steps").first else { return }
    let count = Atomic(0)
    loop?.onHandoverStep = { step in
        guard let file = fopen(path, "r") else { return count.store(0, ordering: .relaxed) }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 64)
        guard fgets(&line, Int32(line.count), file) != nil else { return }
        let words = String(decoding: line.prefix { $0 > 32 || $0 == 32 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            .split(separator: " ").compactMap { Int($0) }
        guard words.count == 2, words[0] == step.rawValue else { return }
        // The first of the workers that removes it dies.
        if count.add(1, ordering: .relaxed).newValue >= words[1], unlink(path) == 0 { kill(getpid(), SIGKILL) }
    }
}
