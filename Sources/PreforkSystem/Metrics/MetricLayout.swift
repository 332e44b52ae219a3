// Where everything lies in the memory of one process's metrics.

/// The memory in which one process counts. Only that process writes it.
///
/// | bytes                  | what                                                                       |
/// |------------------------|----------------------------------------------------------------------------|
/// | 0 ..< 8                | how many series were refused                                               |
/// | 8 ..< 624              | what is counted in refused series: never read                              |
/// | 624 ..< 632            | bytes of descriptions that are whole                                       |
/// | 632 ..< 640            | how many exemplars were written                                            |
/// | 640 ..< 163,840        | words of the series, in the order in which they were made                  |
/// | 163,840 ..< 229,376    | `MetricExemplars`                                                          |
/// | 229,376 ..< 1,048,576  | descriptions of the series that this process has made after its fork       |
///
/// The words of one process lie side by side, on pages that no other process writes. A cache line for each series
/// would keep the threads of one process from slowing each other where they count in different series, and would have a
/// scrape read eight times the memory. Untouched pages take no memory.
package enum MetricLayout {
    package static let byteCount = 1 << 20
    package static let firstWord = 80
    package static let words = 163_840 / 8
    package static let scratchWord = 1
    package static let exemplarsStart = 163_840
    package static let exemplarsEnd = 229_376
    /// On the first page, which a scrape reads anyway.
    package static let descriptionsLength = 624
    package static let descriptionsStart = 229_376
    package static let descriptionsCapacity = byteCount - descriptionsStart
    /// Lines of samples on the page.
    package static let mostSamples = 10_000
}
