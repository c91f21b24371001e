"""Images and predictions as the run folder has them."""

IDS = [40, -7, 3, 2**40, 0, 12]  # neither rising nor without gaps
BOX = (0, 0, 10, 10)
FAR = (50, 50, 10, 10)


def images(*ids):
    return [{"id": i, "file_name": f"{i}.png", "width": 640, "height": 480} for i in ids]


def predictions(*rows):
    """From tuples (image id, class, score, left, top, width, height)."""
    return [
        {"image_id": row[0], "category_id": row[1], "score": row[2], "bbox": list(row[3:])}
        for row in rows
    ]
