// Receives the shared memory that docs/handoff.md hands to a child, and draws into it; as frames_worker.c. Linux.
using System;
using System.IO;
using System.IO.MemoryMappedFiles;

static class Program
{
    static int Main()
    {
        var value = Environment.GetEnvironmentVariable("MMF_HANDOFF_frames");
        if (value == null)
        {
            Console.Error.WriteLine("nothing was handed over as \"frames\"");
            return 1;
        }
        var f = value.Split(':');
        var access = f[6] == "rw" ? MemoryMappedFileAccess.ReadWrite : MemoryMappedFileAccess.Read;
        using (var file = MemoryMappedFile.CreateFromFile("/proc/self/fd/" + f[2], FileMode.Open, null, 0, access))
        using (var frames = file.CreateViewAccessor(0, long.Parse(f[5]), access))
        {
            if (access == MemoryMappedFileAccess.Read)
            {
                // It can be read only.
                return frames.ReadByte(0) == (byte)'r' && !frames.CanWrite ? 0 : 1;
            }
            for (long y = 0; y < frames.Capacity / (3840 * 4); y++)
                for (long x = 0; x < 3840; x++)
                    frames.Write((y * 3840 + x) * 4, (uint)(x & 255 | (y & 255) << 8 | ((x ^ y) & 255) << 16 | 255L << 24));
        }
        return 0;
    }
}
