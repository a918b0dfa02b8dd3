"""The 1,797 handwritten digits that come with scikit-learn: 8 x 8 pixels, 0..16, no download.

They are the test part of "Optical Recognition of Handwritten Digits" (Alpaydin and Kaynak, UCI, 1998).
"""

import numpy as np

from twolayer.datasets.dataset import DataError, Form, Split

FORM = Form(sizes=(1_197, 300, 300), inputs=64, outputs=10, scale=1 / 16, image_shape=(8, 8))
SOURCE = "scikit-learn"


def prepare() -> tuple[Split, Split, Split]:
    """Shuffle with PCG64(0), then cut into 1,197 training, 300 validation and 300 test images.

    The file is ordered by writer. Shuffling puts every writer in every part, so the test asks for new images,
    not for new hands. Raises DataError without scikit-learn.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise DataError(
            f"preparing digits needs scikit-learn ({error}): install it, or give --data_dir with a digits.npz"
            " prepared on another machine"
        ) from error
    pixels, labels = load_digits(return_X_y=True)
    order = np.random.Generator(np.random.PCG64(0)).permutation(len(labels))
    cuts = np.cumsum(FORM.sizes)[:2]
    xs = np.split(pixels[order].astype(np.uint8), cuts)
    ys = np.split(labels[order].astype(np.int32), cuts)
    train, valid, test = map(Split, xs, ys)
    return train, valid, test
