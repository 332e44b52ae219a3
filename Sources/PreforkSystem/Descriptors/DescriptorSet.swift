// Several descriptors with one owner.

/// Descriptors that are closed together: when the bag goes, unless they were taken out before.
package final class DescriptorSet {
    private var numbers: [Int32] = []

    package init() {}

    deinit {
        closeAll()
    }

    /// Takes ownership. Returns the number, for use.
    @discardableResult
    package func add(_ number: Int32) -> Int32 {
        numbers.append(number)
        return number
    }

    /// Closes one of them now.
    package func close(_ number: Int32) {
        numbers.removeAll { $0 == number }
        closeDescriptor(number)
    }

    /// Gives all up: they have other owners now.
    package func releaseAll() {
        numbers = []
    }

    package func closeAll() {
        for number in numbers { closeDescriptor(number) }
        numbers = []
    }
}
