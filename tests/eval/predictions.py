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


def detections_json(image_id, found):
    """The entries that a run writes of an image's detections, number by number."""

    def entry(xyxy, score, class_id):
        x1, y1, x2, y2 = map(float, xyxy)
        bbox = [round(value, 3) + 0.0 for value in (x1, y1, x2 - x1, y2 - y1)]  # no -0.0
        return {
            "image_id": image_id, "category_id": int(class_id), "bbox": bbox,
            "score": float(str(score)),
        }  # fmt: skip

    return [entry(*row) for row in zip(found.xyxy, found.score, found.class_id, strict=True)]
