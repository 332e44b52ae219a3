// Names that two libraries have, by their module.

import Foundation
import Hummingbird
import NIOCore
import Prefork
import Subprocess
import SystemPackage

func ours(
    _: Prefork.Channel<Int>, _: Prefork.ChannelError, _: Prefork.ChannelOptions, _: Prefork.EventLoop,
    _: Prefork.SocketAddress, _: Prefork.Errno, _: Prefork.Signal
) {}

func theirs(
    _: any NIOCore.Channel, _: NIOCore.ChannelError, _: NIOCore.ChannelOptions, _: any NIOCore.EventLoop,
    _: NIOCore.SocketAddress, _: SystemPackage.Errno
) {}

#if compiler(>=6.3)
    func theirs(_: Subprocess::Signal) {}
#endif

func channel() throws -> Prefork.Channel<Int> {
    try Prefork.Channel(name: "jobs")
}

func subprocesses() async throws {
    let process: Prefork.Subprocess = try await Subprocess.spawn(Command("cat", stdin: .stream, stdout: .stream))
    try process.send(.terminate)
    let result = try await run(.name("ls"), output: .string(limit: 4096))
    print(result.terminationStatus)
}
