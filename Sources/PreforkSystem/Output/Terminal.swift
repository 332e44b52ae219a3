// Pseudo-terminals (pty(7)).

import CPrefork
import Glibc

/// A new pseudo-terminal, both sides close-on-exec: the program gets the replica, its parent keeps the primary.
package func openTerminal() throws(SystemError) -> (primary: Int32, replica: Int32) {
    var replica: Int32 = -1
    let primary = try systemCall("posix_openpt") { cprefork_open_terminal(&replica) }
    return (primary, replica)
}

package func setTerminalSize(_ terminal: Int32, rows: UInt16, columns: UInt16) throws(SystemError) {
    try systemCall("ioctl", on: "terminal size") { cprefork_set_terminal_size(terminal, rows, columns) }
}

package func isTerminal(_ number: Int32) -> Bool {
    isatty(number) == 1
}
