// A PID namespace of its own for a program, in which it has process ID 1, as in a container.

import Glibc

public enum ProcessNamespace {
    /// Whether this process may make one.
    public static let isAvailable = system("unshare --pid --fork --mount-proc true 2>/dev/null") == 0

    /// The `preparation` of a `ChildProgram` that moves it into one.
    public static let entering = "exec unshare --pid --fork --kill-child --mount-proc \"$0\" \"$@\""
}
