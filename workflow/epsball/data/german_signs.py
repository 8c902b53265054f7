"""Names of the 43 classes of the German Traffic Sign Recognition Benchmark, in its order."""

NAMES = (
    "speed limit 20", "speed limit 30", "speed limit 50", "speed limit 60", "speed limit 70", "speed limit 80",
    "end of speed limit 80", "speed limit 100", "speed limit 120", "no passing", "no passing for lorries",
    "right of way at crossing", "priority road", "yield", "stop", "no vehicles", "no lorries", "no entry",
    "general caution", "curve to the left", "curve to the right", "double curve", "bumpy road", "slippery road",
    "road narrows", "road work", "traffic signals", "pedestrians", "children", "bicycles", "ice and snow",
    "wild animals", "end of restrictions", "turn right", "turn left", "ahead only", "ahead or right", "ahead or left",
    "keep right", "keep left", "roundabout", "end of no passing", "end of no passing for lorries",
)  # fmt: skip
