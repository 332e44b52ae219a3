// Names of tornado and liteyuki, which cannot be called. The compiler tells the name that each has here.

public import PreforkChannels
public import PreforkSystem

@available(*, unavailable, message: "Listener(.tcp(host, port)), or Listener(\"0.0.0.0:8080\")")
public func bindSockets(_ port: Int, address: String = "") throws -> Listener { fatalError() }

@available(*, unavailable, message: "Channel<Message>.named(name)")
public func getChannel(_ name: String) throws -> Channel<String> { fatalError() }

@available(*, unavailable, message: "channel.register(as: name); before the fork, Channel<Message>(name:) is enough")
public func setChannel(_ name: String, _ channel: Channel<String>) {}

@available(*, unavailable, message: "channel.register(as: name) for each")
public func setChannels(_ channels: [String: Channel<String>]) {}

@available(*, unavailable, message: "Channel<Message>.registered()")
public func getChannels() -> [String: Channel<String>] { [:] }

extension ProcessManager {
    @available(*, unavailable, message: "terminate(_:) waits for the end, send(.stop, to:) only asks for it")
    public func stop(_ name: String) throws {}

    @available(*, unavailable, renamed: "terminateAll()")
    public func stopAll() throws {}
}
