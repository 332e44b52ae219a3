// Numbers 0, 1 and 2 are taken, whatever a program was started with.

import CPrefork
import Glibc

/// Opens /dev/null at each of the numbers 0, 1 and 2 that is closed.
///
/// A program can be started with them closed. Then the next file that it opens, a lock or a listener, gets one of these
/// numbers: workers keep it, because they keep standard input, output and error, and what anybody prints goes there.
/// Without /dev/null they stay closed.
package func fillStandardDescriptors() {
    for number in STDIN_FILENO...STDERR_FILENO where cprefork_fcntl(number, F_GETFD, 0) < 0 {
        let null = cprefork_open("/dev/null", O_RDWR | O_NOCTTY, 0)
        // The lowest free number is this one (open(2)), unless another thread was faster.
        if null > STDERR_FILENO { closeDescriptor(null) }
    }
}
