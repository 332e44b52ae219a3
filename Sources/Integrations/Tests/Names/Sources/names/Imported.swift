// Names that two libraries have, by an import of the one that is meant.

import NIOCore
import Prefork
import Subprocess
import SystemPackage

import class Prefork.Channel
import class Prefork.EventLoop
import enum Prefork.SocketAddress
import struct Prefork.ChannelError
import struct Prefork.ChannelOptions
import struct Prefork.Errno
import struct Prefork.Signal

func imported(
    _: Channel<Int>, _: ChannelError, _: ChannelOptions, _: EventLoop, _: SocketAddress, _: Errno, _: Signal
) {}
