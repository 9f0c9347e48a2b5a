package dev.baton.cuda;

import dev.baton.cuda.compile.KernelCache;
import dev.baton.cuda.driver.Gpu;
import dev.baton.cuda.driver.Kernel;
import dev.baton.cuda.driver.KernelModule;
import dev.baton.model.DType;
import dev.baton.tensor.TensorException;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.Map;

/** The kernels of one GPU: sources are compiled and loaded when their first kernel is asked for. */
final class Kernels implements AutoCloseable {
    /** The kernel sources and the block size of their kernels. */
    enum Source {
        ELEMENTS("elements.cu", 256),
        NORM("norm.cu", 256),
        ATTENTION("attention.cu", 128),
        FLASH("flash.cu", 128),
        DECODE("decode.cu", 256),
        FLASH_HOPPER("flash_hopper.cu", 384),
        LATENT("latent.cu", 256),
        PRODUCT("product.cu", 256),
        SKINNY("skinny.cu", 128),
        WIDE("wide.cu", 384),
        TILES("tiles.cu", 384),
        PARTS("parts.cu", 288),
        GROUPED("grouped.cu", 256),
        GROUPED_F8("grouped_f8.cu", 256),
        EXPERTS("experts.cu", 256),
        PAGES("pages.cu", 512),
        SAMPLE("sample.cu", 256),
        STEP("step.cu", 256);

        private final String file;
        private final int threads;

        Source(String file, int threads) {
            this.file = file;
            this.threads = threads;
        }

        String file() {
            return file;
        }
    }

    private record Key(Source source, String name, int threads) {}

    private final Gpu gpu;
    private final KernelCache cache;
    private final Map<Source, KernelModule> modules = new EnumMap<>(Source.class);
    private final Map<Key, Kernel> kernels = new HashMap<>();

    Kernels(Gpu gpu, KernelCache cache) {
        this.gpu = gpu;
        this.cache = cache;
    }

    /** A kernel with its source's block size. */
    Kernel get(Source source, String name) {
        return get(source, name, source.threads);
    }

    /** A kernel with a block size of its own. */
    Kernel get(Source source, String name, int threads) {
        return kernels.computeIfAbsent(new Key(source, name, threads), this::make);
    }

    private Kernel make(Key key) {
        KernelModule module = modules.computeIfAbsent(
                key.source, s -> gpu.load(cache.code(s.file, gpu.info().architecture())));
        boolean large = switch (key.source) {
            case ATTENTION, FLASH, DECODE, FLASH_HOPPER, LATENT, SKINNY, WIDE, TILES, PARTS, GROUPED, GROUPED_F8 ->
                true;
            case ELEMENTS, NORM, PRODUCT, EXPERTS, PAGES, SAMPLE, STEP -> false;
        };
        return module.kernel(key.name, key.threads, large ? mostSharedBytes() : 0);
    }

    /** Dynamic shared memory of a block at most. Static shared memory counts too: a page is left for it. */
    int mostSharedBytes() {
        return gpu.info().sharedBytesOptIn() - 4096;
    }

    /** How kernel names spell an element type. */
    static String type(DType dtype) {
        return switch (dtype) {
            case F32 -> "float";
            case BF16 -> "bf16";
            case F16 -> "f16";
            case F8_E4M3, F8_E5M2, F64, I64, I32, I16, I8, U8, BOOL ->
                throw new TensorException(TensorException.Code.DTYPE, "no kernel for " + dtype);
        };
    }

    @Override
    public void close() {
        modules.values().forEach(KernelModule::close);
    }
}
