package dev.baton.app;

import dev.baton.engine.LocalEngine;
import dev.baton.engine.parallel.RankGroup;
import dev.baton.protocol.flag.ServerArgs;
import java.util.List;

/** What a prefill or decode server has besides its engine. */
final class PdRole implements EngineAssembly.RoleWiring, AutoCloseable {
    static PdRole of(ServerArgs args) {
        return new PdRole();
    }

    @Override
    public void wire(LocalEngine.Builder builder, List<RankGroup> groups) {}

    @Override
    public void close() {}
}
