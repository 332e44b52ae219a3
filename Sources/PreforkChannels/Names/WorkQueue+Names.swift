// Queues and stores by name, in all processes of a service.

public import PreforkCBOR
public import PreforkStore
import PreforkSystem

extension WorkQueue {
    /// Lets every process of this service find the queue by `named(_:codec:)`. See `Channel.register(as:replacing:)`.
    ///
    /// - Throws: `WorkQueueError` `.duplicateName`, `.cannotTravel`, `.tooManyNames`, `.badArgument`, `.busy`, `.corrupt`,
    ///   `.system`.
    public func register(as name: String? = nil, replacing: Bool = false) throws(WorkQueueError) {
        let name = name ?? self.name
        let descriptors = try travellingDescriptors()
        do throws(FamilyNames.Failure) {
            try FamilyNames.register(note(name: name), descriptors, replacing: replacing)
        } catch {
            throw WorkQueueError(.init(error, of: name), queue: name)
        }
    }

    /// Takes the queue's names away. Processes that hold it may keep using it.
    ///
    /// - Throws: `WorkQueueError` `.busy`, `.corrupt`, `.system`.
    public func unregister() throws(WorkQueueError) {
        guard let memory = table.descriptors.first else { return }
        do throws(FamilyNames.Failure) {
            try FamilyNames.remove(.queue, memory: memory)
        } catch {
            throw WorkQueueError(.init(error, of: name), queue: name)
        }
    }

    /// The queue that a process of this service has registered.
    ///
    /// - Parameter codec: the queue's, where that is not `CBORCodec`.
    /// - Throws: `WorkQueueError` `.unknownName`, `.notAQueue`, `.busy`, `.corrupt`, `.system`.
    public static func named(_ name: String, codec: (any ValueCodec)? = nil) throws(WorkQueueError) -> WorkQueue {
        let handle: ArrivedHandle
        do throws(FamilyNames.Failure) {
            handle = try FamilyNames.find(.queue, name)
        } catch {
            throw WorkQueueError(.init(error, of: name), queue: name)
        }
        return try WorkQueue(opening: handle, codec: codec)
    }
}

extension SharedStore {
    /// Lets every process of this service find the store by `named(_:codec:)`. See `Channel.register(as:replacing:)`.
    ///
    /// - Throws: `StoreError` `.duplicateName`, `.tooManyNames`, `.badArgument`, `.busy`, `.corrupt`, `.system`.
    public func register(as name: String, replacing: Bool = false) throws(StoreError) {
        do throws(FamilyNames.Failure) {
            try FamilyNames.register(note(name: name), travellingDescriptors, replacing: replacing)
        } catch {
            throw StoreError(.init(error, of: name))
        }
    }

    /// Takes the store's names away. Processes that hold it may keep using it.
    ///
    /// - Throws: `StoreError` `.busy`, `.corrupt`, `.system`.
    public func unregister() throws(StoreError) {
        do throws(FamilyNames.Failure) {
            try FamilyNames.remove(.store, memory: travellingDescriptors[0])
        } catch {
            throw StoreError(.init(error, of: ""))
        }
    }

    /// The store that a process of this service has registered. Its `lockTimeout` is a second, unless this process has it
    /// already.
    ///
    /// - Throws: `StoreError` `.unknownName`, `.notAStore`, `.busy`, `.corrupt`, `.system`.
    public static func named(
        _ name: String, codec: any ValueCodec = CBORCodec()
    ) throws(StoreError) -> SharedStore {
        let handle: ArrivedHandle
        do throws(FamilyNames.Failure) {
            handle = try FamilyNames.find(.store, name)
        } catch {
            throw StoreError(.init(error, of: name))
        }
        return try SharedStore(opening: handle, codec: codec)
    }
}
