// The meaning of a reference that a step is about to replace.

extension StoreTable {
    /// The reference that counts where a pending one stands: the new one if its step is committed, else the old one.
    ///
    /// A step's owner may be stopped or dead, so the reader does not wait for it. What is read here counts only if the
    /// pending reference is still in its place afterwards, which the caller checks: until then the step's words cannot
    /// be another step's.
    func resolve(_ pending: EntryReference, _ slot: Int, _ stripe: Int) -> EntryReference {
        guard isCommitted(stripe) else { return pending.settled }
        let base = items(stripe)
        let count = min(Int(clamping: memory.acquire(stripeOffset(stripe) + Stripe.itemCount)), AtomicStep.maximumKeys)
        for index in 0..<count where memory[base + index * StepItem.byteCount + StepItem.slot] == UInt64(slot) {
            return EntryReference(bits: memory[base + index * StepItem.byteCount + StepItem.reference])
        }
        return pending.settled
    }

    /// Whether the step that a stripe takes part in has happened: one word, in the stripe that coordinates it, decides
    /// for all keys at once.
    func isCommitted(_ stripe: Int) -> Bool {
        let own = stripeOffset(stripe)
        let sequence = memory.acquire(own + Stripe.sequence)
        let coordinator = Int(clamping: memory[own + Stripe.coordinator])
        guard coordinator < layout.stripes else { return false }
        return memory.acquire(stripeOffset(coordinator) + Stripe.committed) == sequence
    }

    /// Where a stripe's part of a step is noted: pairs of a reference's offset and its new value.
    func items(_ stripe: Int) -> Int { layout.itemsOffset + stripe * AtomicStep.maximumKeys * StepItem.byteCount }
}

/// Words of one of these pairs, by byte offset.
enum StepItem {
    static let slot = 0
    static let reference = 8
    static let byteCount = 16
}
