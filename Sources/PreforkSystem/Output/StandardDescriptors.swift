// Numbers 0, 1 and 2 are taken, whatever a program has closed.

import CPrefork

/// Opens /dev/null at each of the numbers 0, 1 and 2 that is closed.
///
/// A program that was started with them closed has them by now (standard_streams.c). A program that closes them itself,
/// as daemons did, gets them here. Otherwise the next file that it opens, a lock or a listener, gets one of these
/// numbers. Workers would keep that file, because they keep standard input, output and error, and all printed text
/// would go there.
package func fillStandardDescriptors() {
    _ = cprefork_fill_standard_streams()
}
