// One write for each line, so that lines of several processes do not mix.

@_exported import Glibc

func say(_ text: String) {
    let line = Array("\(text)\n".utf8)
    _ = write(STDOUT_FILENO, line, line.count)
}
