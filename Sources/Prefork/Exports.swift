// `import Prefork` gives everything.

@_exported public import PreforkCBOR
@_exported public import PreforkChannels
@_exported public import PreforkEventLoop
@_exported public import PreforkServices
@_exported public import PreforkStore
@_exported public import PreforkSubprocess
@_exported public import PreforkSupervisor
@_exported public import PreforkSystem
#if Valkey
    @_exported public import PreforkValkey
#endif
